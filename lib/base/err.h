/*
 * An error is a sentence that names the object, carried back to whoever can act on it.
 *
 * Called by control code only: workers count, they don't fail. The caller owns the struct, usually on its
 * stack; nothing is allocated. A function that fails sets the sentence and returns the negative errno.
 * Limits: one sentence, cut at ERR_TEXT_MAX; lists of findings are in base/report.h.
 */
#ifndef CULVERT_BASE_ERR_H
#define CULVERT_BASE_ERR_H

#define ERR_TEXT_MAX 512

struct err {
	char text[ERR_TEXT_MAX];
};

/* Write the sentence and return -code, so that a caller can say `return err_set(err, EINVAL, ...)`. */
int err_set(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put `context: ` in front of the sentence that is there; returns code unchanged (a negative errno). */
int err_prefix(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
