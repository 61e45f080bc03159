package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// conformance is a run of all cases against one agent, one after the other, as its sandbox is made, used and destroyed.
type conformance struct {
	settings  *settings
	given     variables // what is set: what the agent under test has, and where
	variables variables // the same, and how the guest is seen
	rootfs    string    // for containers: here
	root      string    // and where the agent is, once it has been sent
	only      *regexp.Regexp
	renew     string // a program that gives a new agent at the same address, "" for none
	peer      bool   // cases may fail for what they say of the Kata agent
	kept      []*testCase
	results   *results
	number    int
	watching  bool
	blind     string // why the guest can't be seen
	looks     int
	last      string // state of the guest after the last case
}

// setting is NAME=VALUE, or NAME alone.
func (variables variables) Set(text string) error {
	name, value, given := strings.Cut(text, "=")
	if !given {
		value = "yes"
	}
	variables[name] = value
	return nil
}

func (variables variables) String() string { return "" }

func (given variables) copy() variables {
	copied := variables{}
	for name, value := range given {
		copied[name] = value
	}
	return copied
}

func (conformance *conformance) perform(own variables) *performance {
	all := variables{"shared": sharedFolder, "root": conformance.root, "guest": "", "cgroup": cgroupParent()}
	for name, value := range conformance.variables {
		all[name] = value
	}
	for name, value := range own {
		all[name] = value
	}
	return &performance{
		conformance: conformance, variables: all, connections: map[string]*client{}, outcomes: map[string]*outcome{},
		ends: time.Now().Add(caseLimit),
	}
}

// lacking names what the case needs and the agent under test isn't known to have.
func (conformance *conformance) lacking(testCase *testCase) string {
	for _, need := range testCase.Needs {
		if need == "watch" && conformance.watching {
			continue
		}
		if need == "watch" && conformance.blind != "" {
			return conformance.blind
		}
		if conformance.variables[need] == "" {
			return "it needs " + need
		}
	}
	return ""
}

// tidy removes what the case has made.
func (performance *performance) tidy() error {
	for _, id := range append([]string{}, performance.containers...) {
		step := step{Over: "tidy", Call: "RemoveContainer", Request: map[string]any{"container_id": id}}
		if _, err := performance.do(&step); err != nil {
			return fmt.Errorf("its container %s can't be removed: %s", id, describe(err))
		}
	}
	return nil
}

// steps does a case's steps up to the first that isn't as it has to be.
func (conformance *conformance) steps(testCase *testCase) error {
	id := fmt.Sprintf("case%d", conformance.number)
	performance := conformance.perform(variables{"id": id, "other": id + "-other"})
	defer performance.close()
	for i := range testCase.Steps {
		if err := performance.perform(&testCase.Steps[i]); err != nil {
			performance.tidy()
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	if testCase.Keep || testCase.gone() {
		return nil
	}
	return performance.tidy()
}

// compared is the case with a look at the guest before and after. As a look takes long in a virtual machine, there it is
// only for cases in which something fails; one look serves as that before the next case.
func (conformance *conformance) compared(testCase *testCase) error {
	look := conformance.watching && !testCase.gone() && (conformance.variables["guest"] == "" || testCase.failing())
	if look && conformance.last == "" {
		before, err := conformance.state()
		if err != nil {
			return err
		}
		conformance.last = before
	}
	err := conformance.steps(testCase)
	if err == nil && testCase.Watch {
		conformance.blind = conformance.watch()
	}
	if testCase.Left != "" || testCase.Keep || err != nil {
		conformance.last = ""
		return err
	}
	if !look {
		return nil
	}
	before := conformance.last
	if conformance.last, err = conformance.state(); err != nil {
		return err
	}
	left := difference(before, conformance.last)
	if left != "" && !conformance.peer {
		return fmt.Errorf("the guest isn't as it was: %s", left)
	}
	if left != "" {
		conformance.results.Leaves++
		fmt.Printf("# the guest isn't as it was: %s\n", left)
	}
	conformance.results.Compared++
	return nil
}

// failing: something of it has to fail.
func (testCase *testCase) failing() bool {
	for i := range testCase.Steps {
		if testCase.Steps[i].Fails != nil {
			return true
		}
	}
	return false
}

// gone: after it there is nobody to ask.
func (testCase *testCase) gone() bool {
	for _, method := range testCase.Of {
		if method == "DestroySandbox" && !testCase.fails(method) {
			return true
		}
	}
	return false
}

// runCase gives an error where the cases that follow can't be run.
func (conformance *conformance) runCase(suite *suite, testCase *testCase) error {
	section := conformance.results.section(suite.Section)
	conformance.number++
	name := fmt.Sprintf("%d - %s: %s", conformance.number, suite.Section, testCase.Name)
	if reason := conformance.lacking(testCase); reason != "" {
		section.Skipped++
		conformance.results.skipped(testCase, reason)
		fmt.Printf("ok %s # skip %s\n", name, reason)
		return nil
	}
	started := time.Now()
	err := conformance.compared(testCase)
	note := ""
	if conformance.peer && testCase.Peer != "" {
		note = " # TODO the Kata agent " + testCase.Peer
	}
	switch {
	case err != nil && note != "":
		section.Differs++
	case err != nil:
		section.Failed++
	case note != "" && !strings.HasPrefix(testCase.Peer, "sometimes "):
		// Not as it is said to be: what is said is wrong, or it is another agent.
		err = fmt.Errorf("it does what is wanted, though it is said to differ")
		note = ""
		section.Failed++
	default:
		section.Passed++
		conformance.results.passed(testCase)
	}
	if err == nil {
		fmt.Printf("ok %s\n", name)
	} else {
		fmt.Printf("not ok %s%s\n# %s\n", name, note, strings.ReplaceAll(shortened(err.Error()), "\n", "\n# "))
	}
	if os.Getenv("INTEROP_TIMES") != "" {
		fmt.Printf("# %s\n", time.Since(started).Round(time.Millisecond))
	}
	if err == nil && testCase.Keep {
		conformance.kept = append(conformance.kept, testCase)
	}
	if conformance.renew == "" || testCase.gone() {
		return nil
	}
	if conformance.peer && testCase.Breaks != "" {
		return conformance.startAgain(testCase.Breaks)
	}
	if err != nil {
		if err := conformance.serves(); err != nil {
			return conformance.startAgain("it serves no more: " + describe(err))
		}
	}
	return nil
}

// shortened: an agent may say more than a reader wants, as the whole stack at each failure.
func shortened(text string) string {
	const enough = 1000
	if len(text) > enough {
		return text[:enough] + "..."
	}
	return text
}

// serves: does the agent still do what every case needs? One that a case has broken would fail all that follow.
func (conformance *conformance) serves() error {
	conformance.looks++
	performance := conformance.perform(variables{"id": fmt.Sprintf("serves%d", conformance.looks)})
	defer performance.close()
	step := step{Call: "Health.Check"}
	if len(conformance.kept) > 0 { // there is a sandbox
		step.Call, step.Run = "", &processStep{Args: []string{"true"}}
	}
	_, err := performance.do(&step)
	return err
}

// startAgain has a new agent for the cases that follow, with its sandbox, and what else earlier cases have kept.
func (conformance *conformance) startAgain(reason string) error {
	if answer, err := runHere(caseLimit, nil, conformance.renew); err != nil || answer.(object)["status"] != 0 {
		return fmt.Errorf("%s: %v %v", conformance.renew, answer, err)
	}
	fmt.Printf("# the agent was started again: %s\n", reason)
	conformance.results.Renewed++
	conformance.variables = conformance.given.copy()
	conformance.root, conformance.watching, conformance.last = "", false, ""
	for _, testCase := range conformance.kept {
		if err := conformance.compared(testCase); err != nil {
			return fmt.Errorf("%s, again: %w", testCase.Name, err)
		}
	}
	return nil
}

// known: a method that there isn't would be shown by nothing.
func known(suites []*suite, protos *protos) error {
	methods := " " + strings.Join(protos.methods(), " ") + " "
	for _, suite := range suites {
		for i := range suite.Cases {
			for _, method := range suite.Cases[i].Of {
				if !strings.Contains(methods, " "+method+" ") {
					return fmt.Errorf("%s: %s: there is no method %s", suite.file, suite.Cases[i].Name, method)
				}
			}
		}
	}
	return nil
}

// conform runs the cases: TAP, with tables at the end.
func conform(settings *settings, arguments []string) (int, error) {
	conformance := &conformance{settings: settings, given: variables{}, results: newResults()}
	flags := flag.NewFlagSet("conform", flag.ExitOnError)
	flags.Var(conformance.given, "set", "NAME[=VALUE]: something that the agent under test has")
	flags.StringVar(&conformance.rootfs, "rootfs", "", "a folder here that is sent as the containers' root")
	saved := flags.String("results", "", "also write the results to this file")
	flags.BoolVar(&conformance.peer, "peer", false, "it is the Kata agent, which differs where cases say so")
	flags.StringVar(&conformance.renew, "renew", "", "a program that starts the agent anew; run when a case has broken it")
	only := flags.String("only", "", "only cases whose name this expression matches (and those that are kept)")
	flags.Parse(arguments)
	conformance.variables = conformance.given.copy()
	conformance.only = regexp.MustCompile(*only)
	suites, err := loadSuites(flags.Args())
	if err != nil {
		return 0, err
	}
	if err := known(suites, settings.protos); err != nil {
		return 0, err
	}
	fmt.Println("TAP version 13")
	for _, suite := range suites {
		for i := range suite.Cases {
			testCase := &suite.Cases[i]
			if testCase.Keep || conformance.only.MatchString(suite.Section+": "+testCase.Name) {
				if err := conformance.runCase(suite, testCase); err != nil {
					return 0, err
				}
			}
		}
	}
	fmt.Printf("1..%d\n", conformance.number)
	conformance.results.print(os.Stdout, settings.protos.methods())
	if *saved != "" {
		if err := conformance.results.save(*saved); err != nil {
			return 0, err
		}
	}
	for _, count := range conformance.results.Sections {
		if count.Failed > 0 {
			return 1, nil
		}
	}
	return 0, nil
}
