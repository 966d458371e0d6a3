#include "fwd/local.h"
