// uses: agent/net/interface.c agent/net/interface_list.c agent/net/route.c agent/net/netlink.c lib/error.c lib/fd.c
/* Texts of network requests, and how netlink messages are put together. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "agent/net/interface.h"
#include "agent/net/netlink.h"
#include "agent/net/route.h"
#include "lib/cleanup.h"

static void hardware_addresses(void **state)
{
	static const char *const bad[] = {"", ":", "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54:00:12:34:5g",
					  "525:4:00:12:34:56", "52-54-00-12-34-56", "52:54:00:12:34:56 ", "52:54::12:34:56"};
	static const uint8_t wanted[] = {0x52, 0x54, 0, 0xab, 0xcd, 0xef};
	uint8_t hardware[INTERFACE_HARDWARE_SIZE];

	(void)state;
	assert_int_equal(interface_parse_hardware("52:54:00:ab:CD:ef", hardware), 0);
	assert_memory_equal(hardware, wanted, sizeof(wanted));
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(interface_parse_hardware(bad[i], hardware), -EINVAL);
}

static void addresses(void **state)
{
	static const char *const bad[][2] = {{"", "24"}, {"192.0.2.1", ""}, {"192.0.2.1", "33"}, {"192.0.2.1", "-1"},
					     {"192.0.2.1", "24x"}, {"2001:db8::1", "129"}, {"192.0.2.1/24", "24"}};
	struct interface_address address;
	struct error error;

	(void)state;
	assert_int_equal(interface_parse_address(&address, "192.0.2.1", "24", &error), 0);
	assert_int_equal(address.family, AF_INET);
	assert_int_equal(address.prefix, 24);
	assert_memory_equal(address.bytes, ((uint8_t[]){192, 0, 2, 1}), 4);
	assert_int_equal(interface_parse_address(&address, "2001:db8::1", "64", &error), 0);
	assert_int_equal(address.family, AF_INET6);
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(interface_parse_address(&address, bad[i][0], bad[i][1], &error), -EINVAL);
}

static void networks(void **state)
{
	struct interface_address network;
	struct error error;

	(void)state;
	assert_int_equal(route_parse_network(&network, "", AF_INET6, &error), 0);
	assert_int_equal(network.family, AF_INET6);
	assert_int_equal(network.prefix, 0);
	assert_int_equal(route_parse_network(&network, "198.51.100.0/24", AF_INET, &error), 0);
	assert_int_equal(network.prefix, 24);
	assert_int_equal(route_parse_network(&network, "198.51.100.7", AF_INET, &error), 0);
	assert_int_equal(network.prefix, 32);
	assert_int_equal(route_parse_network(&network, "2001:db8::1", AF_INET, &error), 0);
	assert_int_equal(network.prefix, 128);
	assert_int_equal(route_parse_network(&network, "/24", AF_INET, &error), -EINVAL);
	assert_int_equal(route_parse_network(&network, "198.51.100.0/", AF_INET, &error), -EINVAL);
}

static void messages(void **state)
{
	const struct ifinfomsg link = {.ifi_index = 7};
	const struct rtattr *attributes[IFLA_IFNAME + 1];
	static const uint8_t large[NETLINK_MESSAGE_SIZE];
	struct netlink_message message;

	(void)state;
	netlink_begin(&message, RTM_NEWLINK, 0, &link, sizeof(link));
	netlink_add(&message, IFLA_IFNAME, "eth0", 5);
	netlink_add(&message, IFLA_ADDRESS, "abcdef", 6);
	netlink_attributes(&message.header, sizeof(link), attributes, array_size(attributes));
	assert_string_equal(RTA_DATA(attributes[IFLA_IFNAME]), "eth0");
	assert_int_equal(RTA_PAYLOAD(attributes[IFLA_ADDRESS]), 6);
	/* What doesn't fit is never sent. */
	netlink_add(&message, IFLA_IFNAME, large, sizeof(large));
	assert_true(message.overflow);
	assert_int_equal(netlink_send(-1, &message), -EMSGSIZE);
	/* A length that lies leads nowhere. */
	message.header.nlmsg_len = NLMSG_LENGTH(sizeof(link)) + 2;
	netlink_attributes(&message.header, sizeof(link), attributes, array_size(attributes));
	assert_null(attributes[IFLA_IFNAME]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hardware_addresses), cmocka_unit_test(addresses), cmocka_unit_test(networks),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
