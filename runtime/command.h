/* The commands of `nacre`: one file each (command_NAME.c), and a table of them in main.c. */
#ifndef NACRE_RUNTIME_COMMAND_H
#define NACRE_RUNTIME_COMMAND_H

struct command {
	const char *name;
	const char *summary; /* one line of `nacre --help` */
	int (*run)(int argc, const char *argv[]); /* argv[0] is its name; the exit status */
};

/* All of them; the last one has no name. */
extern const struct command commands[];

int command_run(int argc, const char *argv[]);
int command_exec(int argc, const char *argv[]);
int command_cp(int argc, const char *argv[]);
int command_completion(int argc, const char *argv[]);
int command_ps(int argc, const char *argv[]);
int command_attach(int argc, const char *argv[]);
int command_logs(int argc, const char *argv[]);
int command_wait(int argc, const char *argv[]);
int command_kill(int argc, const char *argv[]);
int command_stop(int argc, const char *argv[]);
int command_rm(int argc, const char *argv[]);
int command_inspect(int argc, const char *argv[]);
int command_stats(int argc, const char *argv[]);
int command_metrics(int argc, const char *argv[]);
int command_top(int argc, const char *argv[]);
int command_console(int argc, const char *argv[]);
int command_build_image(int argc, const char *argv[]);

#endif
