/* The version of everything here, and that of the protocol which the agent serves. */
#ifndef NACRE_LIB_VERSION_H
#define NACRE_LIB_VERSION_H

#define NACRE_VERSION "0.1.0"
#define NACRE_API_VERSION "0.0.1" /* of the Kata agent protocol */

#endif
