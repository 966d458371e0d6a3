#include "model/check.h"
