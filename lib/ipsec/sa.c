#include "ipsec/sa.h"
