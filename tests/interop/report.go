package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// count is how cases have ended.
type count struct {
	Passed, Failed, Skipped, Differs int
}

func (count *count) add(other count) {
	count.Passed += other.Passed
	count.Failed += other.Failed
	count.Skipped += other.Skipped
	count.Differs += other.Differs
}

// shown is by how many cases that have passed a method's successes and failures are shown.
type shown struct {
	Successes, Failures int
}

// results are those of one run, or of several together; a file of them is JSON.
type results struct {
	Order    []string // of the sections
	Sections map[string]*count
	Methods  map[string]*shown
	Reasons  map[string]int  // of skips
	Awaited  map[string]bool // methods with cases for what ours doesn't do yet
	Compared int             // cases after which the guest was as before
	Leaves   int             // cases after which it wasn't, which counts for nobody else's agent
	Renewed  int             // times that the agent had to be started again
}

func newResults() *results {
	return &results{Sections: map[string]*count{}, Methods: map[string]*shown{}, Reasons: map[string]int{}, Awaited: map[string]bool{}}
}

func (results *results) section(name string) *count {
	if results.Sections[name] == nil {
		results.Sections[name] = &count{}
		results.Order = append(results.Order, name)
	}
	return results.Sections[name]
}

func (results *results) method(name string) *shown {
	if results.Methods[name] == nil {
		results.Methods[name] = &shown{}
	}
	return results.Methods[name]
}

// fails: does the case show a failure of this method (or of none that is named: of a call that it waits for)?
func (testCase *testCase) fails(method string) bool {
	for i := range testCase.Steps {
		if testCase.Steps[i].Fails != nil && testCase.Steps[i].method() == method {
			return true
		}
	}
	return false
}

func (step *step) method() string {
	switch {
	case step.Create != nil, step.Run != nil, step.Resident != nil:
		return "CreateContainer"
	case step.Exec != nil:
		return "ExecProcess"
	}
	return step.Call
}

func (results *results) passed(testCase *testCase) {
	for _, method := range testCase.Of {
		shown := results.method(method)
		if testCase.fails(method) || testCase.fails("") {
			shown.Failures++
		} else {
			shown.Successes++
		}
	}
}

// skipped: for want of a part of ours that isn't there yet, nobody can miss what the case would show.
func (results *results) skipped(testCase *testCase, reason string) {
	results.Reasons[reason]++
	if strings.Contains(reason, " part-") {
		for _, method := range testCase.Of {
			results.Awaited[method] = true
		}
	}
}

func (results *results) merge(other *results) {
	for _, name := range other.Order {
		results.section(name).add(*other.Sections[name])
	}
	for name, shown := range other.Methods {
		method := results.method(name)
		method.Successes += shown.Successes
		method.Failures += shown.Failures
	}
	for reason, count := range other.Reasons {
		results.Reasons[reason] += count
	}
	for name := range other.Awaited {
		results.Awaited[name] = true
	}
	results.Compared += other.Compared
	results.Leaves += other.Leaves
	results.Renewed += other.Renewed
}

func (results *results) save(path string) error {
	text, err := json.Marshal(results)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// neverSucceed are methods which ours refuses always, as an agent without policies and memory agent does.
var neverSucceed = map[string]bool{"SetPolicy": true, "MemAgentMemcgSet": true, "MemAgentCompactSet": true}

// print writes the tables, as comments of TAP, and says which methods no case has shown.
func (results *results) print(output io.Writer, methods []string) []string {
	var total count
	var missing []string

	fmt.Fprintf(output, "# %-44s %6s %6s %7s %7s %7s\n", "section", "cases", "passed", "failed", "differs", "skipped")
	line := func(name string, count count) {
		fmt.Fprintf(output, "# %-44s %6d %6d %7d %7d %7d\n", name, count.Passed+count.Failed+count.Differs+count.Skipped,
			count.Passed, count.Failed, count.Differs, count.Skipped)
	}
	for _, name := range results.Order {
		line(name, *results.Sections[name])
		total.add(*results.Sections[name])
	}
	line("all", total)
	fmt.Fprintf(output, "# after %d of them mounts, cgroups, open files and /run were compared with before\n", results.Compared)
	if results.Leaves > 0 {
		fmt.Fprintf(output, "# after %d of these something was left behind\n", results.Leaves)
	}
	if results.Renewed > 0 {
		fmt.Fprintf(output, "# the agent had to be started again %d times\n", results.Renewed)
	}
	for _, reason := range sortedKeys(results.Reasons) {
		fmt.Fprintf(output, "# skipped: %d: %s\n", results.Reasons[reason], reason)
	}
	fmt.Fprintf(output, "#\n# %-44s %9s %9s\n", "method: cases that have passed", "successes", "failures")
	for _, name := range methods {
		shown := results.method(name)
		fmt.Fprintf(output, "# %-44s %9d %9d\n", name, shown.Successes, shown.Failures)
		if !results.Awaited[name] && (shown.Successes == 0 && !neverSucceed[name] || shown.Failures == 0) {
			missing = append(missing, name)
		}
	}
	return missing
}

func sortedKeys(counts map[string]int) []string {
	var keys []string
	for key := range counts {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// table prints what several runs have shown together; a method without a success or without a failure is an error.
func table(settings *settings, arguments []string) (int, error) {
	all := newResults()
	for _, path := range arguments {
		one := newResults()
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		if err := json.Unmarshal(text, one); err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		all.merge(one)
	}
	missing := all.print(os.Stdout, settings.protos.methods())
	if missing != nil {
		fmt.Printf("not ok - a success and a failure of every method: %s\n", strings.Join(missing, ", "))
		return 1, nil
	}
	fmt.Println("ok - a success and a failure of every method (a failure of SetPolicy and the memory agent's)")
	return 0, nil
}
