#include "ipsec/esp_out.h"
