#include "fwd/tx.h"
