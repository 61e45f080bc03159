package main

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"
)

// latency prints the distribution of the times from a Health.Check to its answer, one call after the other.
func latency(settings *settings, arguments []string) (int, error) {
	if len(arguments) != 1 {
		return 0, errors.New("latency COUNT")
	}
	count, err := strconv.Atoi(arguments[0])
	if err != nil || count < 1 {
		return 0, fmt.Errorf("latency: %q is no count", arguments[0])
	}
	client, err := settings.connect()
	if err != nil {
		return 0, err
	}
	defer client.ttrpc.Close()
	times := make([]time.Duration, count)
	for i := range times {
		begin := time.Now()
		if _, err := client.call("Health.Check", ""); err != nil {
			return 0, err
		}
		times[i] = time.Since(begin)
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	fmt.Printf("%d calls:", count)
	for _, percent := range []int{0, 50, 90, 99, 100} {
		at := times[percent*(count-1)/100]
		fmt.Printf(" %d%% %.2f ms", percent, float64(at)/float64(time.Millisecond))
	}
	fmt.Println()
	return 0, nil
}
