/* Whether a message that was decoded has texts only where it says so: proto3 wants UTF-8 in a string, and protobuf-c doesn't
 * look. */
#ifndef NACRE_LIB_MESSAGE_TEXT_H
#define NACRE_LIB_MESSAGE_TEXT_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

/* True where every string of the message, and of the messages in it, is UTF-8. As deep as the message is. */
bool message_text_valid(const ProtobufCMessage *message);

#endif
