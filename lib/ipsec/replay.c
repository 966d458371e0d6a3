#include "ipsec/replay.h"
