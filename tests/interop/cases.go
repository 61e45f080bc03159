package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Cases are data, in cases/*.yaml; cases/README.md says how one is written. The types here are that format.

// suite is one file: the cases of one section of the behaviour that is wanted.
type suite struct {
	Section string     `yaml:"section"`
	Cases   []testCase `yaml:"cases"`
	file    string
}

type testCase struct {
	Name   string   `yaml:"case"`
	Of     []string `yaml:"of"`     // the methods whose success or failure it shows
	Needs  []string `yaml:"needs"`  // settings without which it is skipped
	Keep   bool     `yaml:"keep"`   // its containers stay
	Watch  bool     `yaml:"watch"`  // from here on the guest's state can be compared
	Left   string   `yaml:"leaves"` // why the guest isn't as it was afterwards
	Peer   string   `yaml:"peer"`   // what the Kata agent does in its place, for which it fails
	Breaks string   `yaml:"breaks"` // what is then wrong with the Kata agent, which is started again
	Steps  []step   `yaml:"steps"`
}

// step does one thing, which gives an answer or an error, and says what that has to be.
type step struct {
	Call     string       `yaml:"call"`     // a method, with Request or Payload
	Run      *processStep `yaml:"run"`      // a container from its creation to its removal
	Create   *processStep `yaml:"create"`   // CreateContainer
	Resident *processStep `yaml:"resident"` // a container that runs until the case ends
	Exec     *processStep `yaml:"exec"`     // a process in a container, to its end
	Frames   string       `yaml:"frames"`   // see raw.go, on a connection of its own
	Guest    string       `yaml:"guest"`    // a shell script beside the agent
	Wait     string       `yaml:"wait"`     // for the step of this label
	Drop     string       `yaml:"drop"`     // the connection of this name

	Request any           `yaml:"request"`
	Payload *string       `yaml:"payload"` // in hex, right or wrong
	Edit    string        `yaml:"edit"`    // a jq filter over the request
	As      string        `yaml:"as"`      // a label: the step isn't waited for
	Over    string        `yaml:"over"`    // another connection, by a name
	Timeout time.Duration `yaml:"timeout"`

	Answer  any               `yaml:"answer"`  // fields that the answer has, with these values
	Holds   texts             `yaml:"holds"`   // jq expressions that are true of the answer
	Prints  *string           `yaml:"prints"`  // all of the output, but for space at its ends
	Status  *int              `yaml:"status"`  // of a process; 0 where it isn't given
	Fails   *failure          `yaml:"fails"`   // the step has to
	Pending string            `yaml:"pending"` // this step hasn't ended when ours has
	Save    map[string]string `yaml:"save"`    // names for what jq expressions give
}

type processStep struct {
	ID       string   `yaml:"id"`
	ExecID   string   `yaml:"exec"`
	Args     []string `yaml:"args"`
	Terminal bool     `yaml:"tty"`
	Stdin    *string  `yaml:"stdin"`
	Streams  bool     `yaml:"streams"` // over connections, and not by calls
}

type failure struct {
	Code texts  `yaml:"code"` // any of them
	Text string `yaml:"text"` // part of the message
}

// texts are one text or several.
type texts []string

func (texts *texts) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*texts = []string{node.Value}
		return nil
	}
	return node.Decode((*[]string)(texts))
}

// UnmarshalYAML also takes the arguments alone.
func (process *processStep) UnmarshalYAML(node *yaml.Node) error {
	type plain processStep
	if node.Kind == yaml.SequenceNode {
		return node.Decode(&process.Args)
	}
	return node.Decode((*plain)(process))
}

// encodeBytes turns `!bytes text` into what JSON has for it.
func encodeBytes(node *yaml.Node) {
	if node.Tag == "!bytes" {
		node.Tag, node.Value = "!!str", base64.StdEncoding.EncodeToString([]byte(node.Value))
	}
	for _, child := range node.Content {
		encodeBytes(child)
	}
}

func loadSuite(path string) (*suite, error) {
	var document yaml.Node

	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	encodeBytes(&document)
	encoded, err := yaml.Marshal(&document)
	if err != nil {
		return nil, err
	}
	suite := &suite{file: path}
	decoder := yaml.NewDecoder(strings.NewReader(string(encoded)))
	decoder.KnownFields(true)
	if err := decoder.Decode(suite); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range suite.Cases {
		if err := suite.Cases[i].check(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, suite.Cases[i].Name, err)
		}
	}
	return suite, nil
}

// loadSuites takes files and folders of them.
func loadSuites(paths []string) ([]*suite, error) {
	var suites []*suite

	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			files, _ = filepath.Glob(filepath.Join(path, "*.yaml"))
		}
		for _, file := range files {
			suite, err := loadSuite(file)
			if err != nil {
				return nil, err
			}
			suites = append(suites, suite)
		}
	}
	return suites, nil
}

// asserts: a step that succeeds shows something by what it gives, not by having succeeded.
func (step *step) asserts() bool {
	return step.Answer != nil || step.Holds != nil || step.Prints != nil || step.Fails != nil || step.Status != nil ||
		step.Pending != ""
}

func (testCase *testCase) check() error {
	asserts := false
	for i := range testCase.Steps {
		step := &testCase.Steps[i]
		asserts = asserts || step.asserts()
		if kinds := step.kinds(); kinds != 1 {
			return fmt.Errorf("step %d is %d things and not one", i+1, kinds)
		}
	}
	if !asserts {
		return fmt.Errorf("it asserts nothing")
	}
	return nil
}

func (step *step) kinds() int {
	count := 0
	for _, given := range []bool{
		step.Call != "", step.Run != nil, step.Create != nil, step.Resident != nil, step.Exec != nil,
		step.Frames != "", step.Guest != "", step.Wait != "", step.Drop != "",
	} {
		if given {
			count++
		}
	}
	return count
}

// variables are what ${name} stands for.
type variables map[string]string

var variable = regexp.MustCompile(`\$\{([a-z0-9_]+)\}`)

func (variables variables) expand(text string) (string, error) {
	var missing string

	expanded := variable.ReplaceAllStringFunc(text, func(found string) string {
		name := found[2 : len(found)-1]
		value, known := variables[name]
		if !known {
			missing = name
		}
		return value
	})
	if missing != "" {
		return "", fmt.Errorf("nothing is called ${%s}", missing)
	}
	return expanded, nil
}

// expandAll replaces in all texts of a value from YAML, which it leaves as it is.
func (variables variables) expandAll(value any) (any, error) {
	switch value := value.(type) {
	case string:
		return variables.expand(value)
	case []any:
		list := make([]any, len(value))
		for i := range value {
			member, err := variables.expandAll(value[i])
			if err != nil {
				return nil, err
			}
			list[i] = member
		}
		return list, nil
	case map[string]any:
		object := map[string]any{}
		for key, member := range value {
			member, err := variables.expandAll(member)
			if err != nil {
				return nil, err
			}
			if key, err = variables.expand(key); err != nil {
				return nil, err
			}
			object[key] = member
		}
		return object, nil
	}
	return value, nil
}
