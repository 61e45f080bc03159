/* A circular, doubly linked list whose links are embedded in its members: linking allocates nothing, and a member can
 * leave from anywhere in constant time. A head and an unlinked member point at themselves.
 */
#ifndef NACRE_LIB_LIST_H
#define NACRE_LIB_LIST_H

#include <stdbool.h>

#include "lib/cleanup.h"

struct list {
	struct list *next;
	struct list *previous;
};

static inline void list_init(struct list *list)
{
	list->next = list->previous = list;
}

static inline bool list_empty(const struct list *list)
{
	return list->next == list;
}

/* True for a member that is in some list. */
static inline bool list_linked(const struct list *member)
{
	return member->next != member;
}

static inline void list_append(struct list *head, struct list *member)
{
	member->next = head;
	member->previous = head->previous;
	head->previous->next = member;
	head->previous = member;
}

static inline void list_prepend(struct list *head, struct list *member)
{
	list_append(head->next, member);
}

static inline void list_remove(struct list *member)
{
	member->previous->next = member->next;
	member->next->previous = member->previous;
	list_init(member);
}

/* Takes the first member out; NULL where there is none. */
static inline struct list *list_take(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

static inline size_t list_length(const struct list *head)
{
	size_t length = 0;

	for (const struct list *link = head->next; link != head; link = link->next)
		length++;
	return length;
}

#endif
