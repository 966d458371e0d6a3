#include "fwd/route.h"
