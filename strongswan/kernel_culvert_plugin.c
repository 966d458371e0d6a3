/*
 * The plugin `kernel-culvert` of strongSwan's charon: culvertd is what its IPsec SAs and policies are for.
 *
 * charon loads it and calls kernel_culvert_plugin_create. It has to be loaded before kernel-netlink, which
 * then is left with addresses and routes.
 */
#include "kernel_culvert_ipsec.h"

/* charon finds it by this name. */
plugin_t *kernel_culvert_plugin_create(void);

static char *get_name(plugin_t *plugin)
{
	(void)plugin;
	return "kernel-culvert";
}

static int get_features(plugin_t *plugin, plugin_feature_t *features[])
{
	static plugin_feature_t provided[] = {
		PLUGIN_CALLBACK(kernel_ipsec_register, kernel_culvert_ipsec_create),
		PLUGIN_PROVIDE(CUSTOM, "kernel-ipsec"),
	};

	(void)plugin;
	*features = provided;
	return countof(provided);
}

static void destroy(plugin_t *plugin)
{
	free(plugin);
}

plugin_t *kernel_culvert_plugin_create(void)
{
	plugin_t *plugin;

	INIT(plugin, .get_name = get_name, .get_features = get_features, .destroy = destroy);
	return plugin;
}
