package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What judges agents is judged here: an expectation that can't fail shows nothing.

func judged(t *testing.T, text string, answer any, err error) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "case.yaml")
	suite := "section: s\ncases:\n- case: c\n  steps:\n  - call: Method\n" + text
	if err := os.WriteFile(path, []byte(suite), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, loadError := loadSuite(path)
	if loadError != nil {
		t.Fatal(loadError)
	}
	return loaded.Cases[0].Steps[0].judge(answer, err, variables{"id": "one"})
}

func TestExpectations(t *testing.T) {
	answer := object{"status": 3, "stdout": "out\n", "list": []any{"a", object{"b": 1}}}
	failed := status.Error(codes.NotFound, "no one here")
	for _, test := range []struct {
		text string
		err  error
		says string // "" where it is as wanted
	}{
		{"    answer: {status: 3}", nil, ""},
		{"    answer: {status: 4}", nil, "the answer.status is 3 and not 4"},
		{"    answer: {missing: 4}", nil, "the answer.missing is null"},
		{"    answer: {list: [a, {b: 1}]}", nil, ""},
		{"    answer: {list: [a]}", nil, "the answer.list is"},
		{"    holds: .status == 3", nil, ""},
		{"    holds: [.status == 3, .status == 4]", nil, "isn't true"},
		{"    holds: .list | nonsense", nil, "nonsense"},
		{"    prints: out", nil, ""},
		{"    prints: other", nil, "it printed"},
		{"    status: 3", nil, ""},
		{"    status: 0", nil, "its status is 3"},
		{"    answer: {}", failed, "NOT_FOUND: no one here"},
		{"    fails: {code: NOT_FOUND}", nil, "it succeeded"},
		{"    fails: {code: NOT_FOUND}", failed, ""},
		{"    fails: {code: [INTERNAL, NOT_FOUND], text: \"no ${id}\"}", failed, ""},
		{"    fails: {code: NOT_FOUND, text: nobody}", failed, "no one here"},
		{"    fails: {code: INTERNAL}", failed, "no one here"},
		{"    fails: {code: INTERNAL, text: \"${nothing}\"}", failed, "nothing is called ${nothing}"},
	} {
		err := judged(t, test.text, answer, test.err)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v (wanted: %q)", test.text, err, test.says)
		}
	}
}

func TestCasesAreChecked(t *testing.T) {
	for text, says := range map[string]string{
		"  steps:\n  - call: Method\n":                                         "asserts nothing",
		"  steps:\n  - {call: Method, run: [x], answer: {}}\n":                 "2 things",
		"  steps:\n  - {answer: {}}\n":                                         "0 things",
		"  steps:\n  - {call: Method, awnser: {}}\n":                           "awnser",
		"  needs: [x]\n  steps:\n  - {call: Method, fails: {code: UNKNOWN}}\n": "",
	} {
		path := filepath.Join(t.TempDir(), "case.yaml")
		os.WriteFile(path, []byte("section: s\ncases:\n- case: c\n"+text), 0o600)
		_, err := loadSuite(path)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v (wanted: %q)", text, err, says)
		}
	}
}

func TestDifference(t *testing.T) {
	if said := difference("a\nb\nb", "b\na\nb"); said != "" {
		t.Error(said)
	}
	if said := difference("a\nb", "a\nb\nb"); said != "+ b" {
		t.Error(said)
	}
}

// nobody is an agent that can't be reached: every step but those of this machine fails.
func nobody() *conformance {
	return &conformance{
		settings: &settings{address: "unix:///no/such/agent"}, variables: variables{}, results: newResults(),
	}
}

func TestWhatCasesSayOfTheKataAgent(t *testing.T) {
	failing := []step{{Call: "Health.Check", Answer: object{}}}
	for _, test := range []struct {
		peer  bool
		says  string
		steps []step
		count count
	}{
		{false, "", nil, count{Passed: 1}},
		{false, "does otherwise", nil, count{Passed: 1}},
		{false, "does otherwise", failing, count{Failed: 1}},
		{true, "", failing, count{Failed: 1}},
		{true, "does otherwise", failing, count{Differs: 1}},
		{true, "does otherwise", nil, count{Failed: 1}}, // it is said to fail
		{true, "sometimes does otherwise", nil, count{Passed: 1}},
		{true, "sometimes does otherwise", failing, count{Differs: 1}},
	} {
		conformance := nobody()
		conformance.peer = test.peer
		testCase := &testCase{Name: "c", Peer: test.says, Steps: test.steps}
		if err := conformance.runCase(&suite{Section: "s"}, testCase); err != nil {
			t.Error(err)
		}
		if *conformance.results.section("s") != test.count {
			t.Errorf("%+v: %+v", test, conformance.results.section("s"))
		}
	}
}

func TestAnAgentThatServesNoMoreIsStartedAgain(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "started")
	program := filepath.Join(t.TempDir(), "renew")
	os.WriteFile(program, []byte("#!/bin/sh\n: >"+marker+"\n"), 0o700)

	conformance := nobody()
	conformance.given = variables{"guest": "yes"}
	conformance.root, conformance.watching, conformance.variables = "/root", true, variables{"guest": "/guest", "pid": "1"}
	fails := &testCase{Name: "c", Steps: []step{{Call: "Health.Check", Answer: object{}}}}
	breaks := &testCase{Name: "c", Breaks: "it is broken"}
	for _, test := range []struct {
		renew    string
		peer     bool
		testCase *testCase
		renewed  int
	}{
		{"", true, fails, 0},
		{"", true, breaks, 0},
		{program, false, breaks, 0},
		{program, false, fails, 1},
		{program, true, breaks, 2},
	} {
		conformance.renew, conformance.peer = test.renew, test.peer
		if err := conformance.runCase(&suite{Section: "s"}, test.testCase); err != nil {
			t.Error(err)
		}
		if conformance.results.Renewed != test.renewed {
			t.Errorf("%+v: %d", test, conformance.results.Renewed)
		}
	}
	if _, err := os.Stat(marker); err != nil {
		t.Error(err)
	}
	if conformance.root != "" || conformance.watching || conformance.variables["pid"] != "" || conformance.variables["guest"] != "yes" {
		t.Errorf("something of the last agent is taken for the new one's: %+v", conformance)
	}
	conformance.kept = []*testCase{{Name: "kept", Steps: []step{{Call: "Health.Check", Answer: object{}}}}}
	if err := conformance.startAgain("so"); err == nil || !strings.Contains(err.Error(), "kept, again") {
		t.Errorf("a kept case that fails: %v", err)
	}
	conformance.renew = "/bin/false"
	if err := conformance.startAgain("so"); err == nil {
		t.Error("a program that fails is no error")
	}
}
