package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/itchyny/gojq"
)

// jq gives the first value that a filter makes of an input.
func jq(filter string, input any) (any, error) {
	query, err := gojq.Parse(filter)
	if err != nil {
		return nil, fmt.Errorf("jq: %s: %w", filter, err)
	}
	value, any := query.Run(input).Next()
	if !any {
		return nil, fmt.Errorf("jq: %s gives nothing", filter)
	}
	if err, failed := value.(error); failed {
		return nil, fmt.Errorf("jq: %s: %w", filter, err)
	}
	return value, nil
}

// plain is a value as JSON has it, which is what jq takes.
func plain(value any) (any, error) {
	var result any

	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return result, json.Unmarshal(text, &result)
}

func inJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	if len(text) > 2000 {
		return string(text[:2000]) + "..."
	}
	return string(text)
}

// has says where an answer isn't what is expected: objects may have more fields, lists are the same.
func has(answer, expected any, where string) error {
	fields, isObject := expected.(map[string]any)
	if !isObject {
		if !reflect.DeepEqual(answer, expected) {
			return fmt.Errorf("%s is %s and not %s", where, inJSON(answer), inJSON(expected))
		}
		return nil
	}
	object, isObject := answer.(map[string]any)
	if !isObject {
		return fmt.Errorf("%s is %s and no object", where, inJSON(answer))
	}
	for name, value := range fields {
		if err := has(object[name], value, where+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func (failure *failure) judge(answer any, err error, variables variables) error {
	if err == nil {
		return fmt.Errorf("it succeeded with %s (wanted: %s: %s)", inJSON(answer), strings.Join(failure.Code, " or "), failure.Text)
	}
	text, unknown := variables.expand(failure.Text)
	if unknown != nil {
		return unknown
	}
	said := describe(err)
	for _, code := range failure.Code {
		if strings.HasPrefix(said, code+": ") && strings.Contains(said, text) {
			return nil
		}
	}
	return fmt.Errorf("it said %q (wanted: %s: ...%s)", said, strings.Join(failure.Code, " or "), text)
}

// judge compares what a step gave with what it has to give.
func (step *step) judge(answer any, err error, variables variables) error {
	if step.Fails != nil {
		return step.Fails.judge(answer, err, variables)
	}
	if err != nil {
		return fmt.Errorf("it said %q", describe(err))
	}
	if answer, err = plain(answer); err != nil {
		return err
	}
	if err := step.judgeProcess(answer, variables); err != nil {
		return err
	}
	if step.Answer != nil {
		expected, err := variables.expandAll(step.Answer)
		if err != nil {
			return err
		}
		if expected, err = plain(expected); err != nil {
			return err
		}
		if err := has(answer, expected, "the answer"); err != nil {
			return err
		}
	}
	for _, filter := range step.Holds {
		filter, err := variables.expand(filter)
		if err != nil {
			return err
		}
		value, err := jq(filter, answer)
		if err != nil {
			return fmt.Errorf("%w, for %s", err, inJSON(answer))
		}
		if value != true {
			return fmt.Errorf("%s isn't true of %s", filter, inJSON(answer))
		}
	}
	for name, filter := range step.Save {
		value, err := jq(filter, answer)
		if err != nil {
			return err
		}
		variables[name] = fmt.Sprint(value)
	}
	return nil
}

// judgeProcess: status and output, of what has them.
func (step *step) judgeProcess(answer any, variables variables) error {
	object, _ := answer.(map[string]any)
	status, hasStatus := object["status"].(float64)
	expected := 0
	if step.Status != nil {
		expected = *step.Status
	} else if step.Call != "" || step.Wait != "" {
		hasStatus = false
	}
	if hasStatus && int(status) != expected {
		return fmt.Errorf("its status is %v and not %d: %s", status, expected, inJSON(answer))
	}
	if step.Prints == nil {
		return nil
	}
	text, err := variables.expand(*step.Prints)
	if err != nil {
		return err
	}
	output, _ := object["stdout"].(string)
	if strings.TrimSpace(output) != strings.TrimSpace(text) {
		return fmt.Errorf("it printed %q and not %q (%s)", output, text, inJSON(object["stderr"]))
	}
	return nil
}
