#include "fwd/neigh.h"
