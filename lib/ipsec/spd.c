#include "ipsec/spd.h"
