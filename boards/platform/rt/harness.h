/* harness.h: what an emulated program needs of the world outside: inputs, outputs, text, an end.
 *
 * On a bare core it talks through semihosting; on the host through stdio. No libc is used on a bare core,
 * so that whatever the linker takes from libc or libgcc is the model's and not the harness's. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stddef.h>

#define HARNESS_INPUT "thimble_input.bin"
#define HARNESS_OUTPUT "thimble_output.bin"

/* opens HARNESS_INPUT to read and HARNESS_OUTPUT to write, in the emulator's folder; 0 is success */
int harness_open(void);

/* reads the next record of n bytes; returns 1, or 0 at the input's end */
int harness_read(void *record, size_t n);

/* appends n bytes; returns 1, or 0 on failure */
int harness_write(const void *record, size_t n);

/* closes both files; 0 is success */
int harness_close(void);

/* writes text to the emulator's console */
void harness_print(const char *text);

/* ends the program with an exit code of 0..255 */
void harness_exit(int code);

#endif
