#include "ipsec/sad.h"
