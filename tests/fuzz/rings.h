/* Ring programs: what a guest, and its VMM, do to the vsock device, as bytes. tests/fuzz/rings_fuzz.c carries them out;
 * tests/unit/proxy_hostile_test.c records its attacks so (NACRE_RECORD=FOLDER), which are the seeds.
 *
 * A program begins with a guest whose driver is up and one client that is connected, as in those tests. Its steps are a byte
 * and what follows; numbers are little-endian, and an offset counts from the start of guest memory.
 */
#ifndef NACRE_TESTS_FUZZ_RINGS_H
#define NACRE_TESTS_FUZZ_RINGS_H

enum ring_step {
	RING_TURN,	 /* both queues are kicked, and the device has a turn; the client writes and reads */
	RING_WRITE,	 /* u16, u8: the offset; u8 bytes follow */
	RING_DESCRIPTOR, /* u8: 0 to the guest, 1 from it; u8 index; u32 offset, u32 length, u8 flags, u8 next */
	RING_PUBLISH,	 /* u8: queue; u8: the head */
	RING_EVENT,	 /* u8: queue, and +2 for what the device asks for; u16: the index wished for */
	RING_PACKET,	 /* u8: the slot; u8: operation; u16: length; u8: type; u32: flags; u32: taken; of the client's connection */
	RING_MEMORY,	 /* u8: which regions the table has: 1, 2, or both; 4: of other files */
	RING_CUT,	 /* u8: which file; u16: its size, in pages */
	RING_RESTART,	 /* the driver starts over, as it has to after the device has stopped */
	RING_ACCEPT,	 /* u8: somebody is there for the next connection of the guest's, at 1 with a socket of messages */
	RING_CLIENT,	 /* another client connects */
	RING_STEPS,
};

#endif
