#include "ipsec/gcm.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <rte_malloc.h>

#define CPU_NEEDED (IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ)
#define NO_AES     "this CPU has no AES-NI or no PCLMULQDQ"

/* The last one of the manager, or of none. Its own numbers are above the operating system's. */
static int library_error(IMB_MGR *manager, struct err *err)
{
	int number = imb_get_errno(manager);

	if (number == IMB_ERR_NO_AESNI_EMU)
		return err_set(err, ENOTSUP, NO_AES);
	return err_set(err, number == ENOMEM ? ENOMEM : EIO, "IPsec-MB: %s", imb_get_strerror(number));
}

int gcm_manager_create(struct IMB_MGR **out, struct err *err)
{
	IMB_MGR *manager = alloc_mb_mgr(0);
	int ret = 0;

	if (!manager)
		return library_error(NULL, err);
	init_mb_mgr_auto(manager, NULL);
	if (imb_get_errno(manager) != 0)
		ret = library_error(manager, err);
	else if ((manager->features & CPU_NEEDED) != CPU_NEEDED)
		ret = err_set(err, ENOTSUP, NO_AES);
	if (ret != 0) {
		free_mb_mgr(manager);
		return ret;
	}
	*out = manager;
	return 0;
}

void gcm_manager_destroy(struct IMB_MGR *manager)
{
	if (manager)
		free_mb_mgr(manager);
}

struct gcm_key_data *gcm_key_create(struct IMB_MGR *manager, const uint8_t *key, size_t length_bytes)
{
	struct gcm_key_data *data = rte_zmalloc("gcm_key", sizeof(*data), alignof(struct gcm_key_data));

	if (!data)
		return NULL;
	if (length_bytes == GCM_KEY_BYTES_256)
		IMB_AES256_GCM_PRE(manager, key, data);
	else
		IMB_AES128_GCM_PRE(manager, key, data);
	return data;
}

void gcm_key_destroy(struct gcm_key_data *key)
{
	explicit_bzero(key, sizeof(*key));
	rte_free(key);
}
