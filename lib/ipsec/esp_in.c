#include "ipsec/esp_in.h"
