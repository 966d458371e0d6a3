/*
 * Prints docs/configuration.md from the schema. Run by tools/gen-docs.
 */
#include "config/schema.h"
#include "key_text.h"
#include "model/alg.h"

#include <stdio.h>

static void print_intro(void)
{
	puts("# Configuration\n\n"
	     "<!-- Written by tools/gen-docs from lib/config/schema.c. -->\n\n"
	     "One YAML file says what the gateway should be. `culvertd --config FILE` runs it, and `culvertd "
	     "--check FILE`\n"
	     "only reads it: it prints every fault as `file:line:column: path: text` and exits with 1, or is "
	     "silent and exits\n"
	     "with 0. Nothing of a faulty file is applied. `config/` has examples.\n\n"
	     "Numbers are decimal, or hexadecimal after `0x`. A name is made of letters, digits, `-` and "
	     "`_`. Quote values\n"
	     "that hold a colon, as IPv6 addresses do inside `{}` and `[]`. Anchors, aliases and tags are "
	     "not read, and a key\n"
	     "that is given twice or is not known is an error.");
}

static void print_section(const struct schema_key *section)
{
	const struct schema *schema = section->object;

	printf("\n## `%s`\n\n%s %s", section->name, section->doc, key_shape_text(section->shape));
	if (schema->name_max > 0)
		printf(" A name has at most %zu characters.", schema->name_max);
	if (section->items_max > 0)
		printf(" From %zu to %zu of them.", section->items_min, section->items_max);
	printf("%s\n\n| key | value | if left out | meaning |\n|---|---|---|---|\n",
		section->required ? " This section is required." : "");
	for (size_t i = 0; i < schema->n_keys; i++) {
		printf("| `%s` | ", schema->keys[i].name);
		key_type_print(stdout, &schema->keys[i]);
		printf(" | ");
		key_default_print(stdout, &schema->keys[i]);
		printf(" | ");
		key_cell_print(stdout, schema->keys[i].doc);
		puts(" |");
	}
}

static void print_algorithms(void)
{
	const struct alg *alg;

	puts("\n## ESP algorithms\n\n"
	     "`key` holds the parts in this order, without anything between them. The keywords are "
	     "strongSwan's, but for\n"
	     "`iiv`, an implicit IV (RFC 8750), for which it has none. DES, Blowfish, IDEA, HMAC-MD5 and "
	     "encryption without\n"
	     "integrity are refused (RFC 8221 sections 4 to 6). AES-GMAC with `esn` is done by `ipsec_mb` "
	     "alone, so not with\n"
	     "`crypto_mode: async`; XCBC and CMAC with `crypto_mode: sync` likewise.\n\n"
	     "| `esp` | key, bytes | cipher key | salt | authentication key | IV in the packet | ICV | |\n"
	     "|---|---|---|---|---|---|---|---|");
	for (size_t i = 0; (alg = alg_at(i)) != NULL; i++)
		printf("| `%s` | %zu | %u | %u | %u | %u | %u | %s |\n", alg->name, alg_key_bytes(alg),
			alg->cipher_key_bytes, alg->salt_bytes, alg->auth_key_bytes, alg->iv_bytes,
			alg->icv_bytes, alg->insecure ? "insecure" : "");
}

int main(void)
{
	const struct schema *schema = schema_gateway();

	print_intro();
	for (size_t i = 0; i < schema->n_keys; i++)
		print_section(&schema->keys[i]);
	print_algorithms();
	return 0;
}
