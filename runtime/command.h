/* The commands of `nacre`: one file each (command_NAME.c), and a table of them in main.c. */
#ifndef NACRE_RUNTIME_COMMAND_H
#define NACRE_RUNTIME_COMMAND_H

struct command {
	const char *name;
	const char *summary; /* one line of `nacre --help` */
	int (*run)(int argc, const char *argv[]); /* argv[0] is its name; the exit status */
};

int command_run(int argc, const char *argv[]);
int command_build_image(int argc, const char *argv[]);

#endif
