/*
 * Prints culvert.yaml(5) from the schema. Run by the build.
 */
#include "config/schema.h"
#include "key_text.h"
#include "model/alg.h"
#include "roff.h"

#include <stdio.h>
#include <stdlib.h>

static void print_intro(void)
{
	roff_head("culvert.yaml", 5, "File Formats", "what an IPsec security gateway should be");
	roff_section("DESCRIPTION");
	roff_text("One YAML file says what the gateway should be. `culvertd --config FILE` runs it, and "
		  "`culvertd "
		  "--check FILE` only reads it: it prints every fault as `file:line:column: path: text` and "
		  "exits "
		  "with 1, or is silent and exits with 0. Nothing of a faulty file is applied. The service "
		  "reads "
		  "`/etc/culvert/culvert.yaml`.\n\n"
		  "Numbers are decimal, or hexadecimal after 0x. A name is made of letters, digits, - and _. "
		  "Quote "
		  "values that hold a colon, as IPv6 addresses do inside {} and []. Anchors, aliases and "
		  "tags are "
		  "not read, and a key that is given twice or is not known is an error.\n\n"
		  "Keys of SAs belong into files of their own (`key_file`) that the daemon's user owns and "
		  "nobody "
		  "else can read: mode 0600, in a directory that others can't write to.");
}

/* What the printer writes of the key, as roff. */
static void print_as_roff(
	void (*print)(FILE *out, const struct schema_key *key), const struct schema_key *key)
{
	char *text;
	size_t length;
	FILE *stream = open_memstream(&text, &length);

	if (!stream)
		abort();
	print(stream, key);
	fclose(stream);
	roff_inline(text);
	free(text);
}

static void print_key(const struct schema_key *key)
{
	printf(".TP\n\\fB%s\\fR: ", key->name);
	print_as_roff(key_type_print, key);
	printf("\n");
	roff_text(key->doc);
	if (key->required)
		puts("It is required.");
	else {
		printf("If left out: ");
		print_as_roff(key_default_print, key);
		puts(".");
	}
}

static void print_section(const struct schema_key *section)
{
	printf(".SS %s\n", section->name);
	roff_text(section->doc);
	roff_text(key_shape_text(section->shape));
	if (section->required)
		puts("This section is required.");
	for (size_t i = 0; i < section->object->n_keys; i++)
		print_key(&section->object->keys[i]);
}

static void print_algorithms(void)
{
	const struct alg *alg;

	roff_section("ESP ALGORITHMS");
	puts("The key holds cipher key, salt and authentication key, in this order.\n.PP\n.TS\n"
	     "lb lb lb lb lb lb\nl r r r r r.\nesp\tkey, bytes\tcipher\tsalt\tauth.\tICV");
	for (size_t i = 0; (alg = alg_at(i)) != NULL; i++) {
		roff_inline(alg->name);
		printf("\t%zu\t%u\t%u\t%u\t%u\n", alg_key_bytes(alg), alg->cipher_key_bytes, alg->salt_bytes,
			alg->auth_key_bytes, alg->icv_bytes);
	}
	puts(".TE");
}

static void print_end(void)
{
	roff_section("FILES");
	puts(".TP\n.I /etc/culvert/culvert.yaml\nthe service's configuration\n.TP\n"
	     ".I /usr/share/doc/culvert/examples\nexamples");
	roff_section("SEE ALSO");
	puts(".BR culvertd (8),\n.BR culvertctl (1)");
}

int main(void)
{
	const struct schema *schema = schema_gateway();

	/* The page has a table: man runs tbl on it. */
	puts("'\\\" t");
	print_intro();
	roff_section("SECTIONS");
	for (size_t i = 0; i < schema->n_keys; i++)
		print_section(&schema->keys[i]);
	print_algorithms();
	print_end();
	return 0;
}
