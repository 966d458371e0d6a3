#include "ipsec/crypto.h"
