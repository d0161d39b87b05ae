//go:build integration

package integration

import (
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"testing"
)

// A stack is template.yaml, twice: as written and as CloudFormation sees it.
type stack struct {
	Source      map[string]any `json:"source"`
	Transformed map[string]any `json:"transformed"`
}

// A rule is a consistency of the template that sam validate --lint does not check.
type rule struct {
	name   string
	check  func(stack) []string // problems; none is a pass
	breaks func(stack)          // makes a mistake that check must report
}

func TestTemplateHangsTogether(t *testing.T) {
	t.Parallel()
	raw := transform(t)
	for _, r := range slices.Concat(queueRules(), functionRules(), roleRules(), frontDoorRules(), alarmRules(), logRules()) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, problem := range r.check(decode(t, raw)) {
				t.Error(problem)
			}
			broken := decode(t, raw)
			r.breaks(broken)
			if len(r.check(broken)) == 0 {
				t.Error("a broken template passes: the rule finds nothing")
			}
		})
	}
}

func transform(t *testing.T) []byte {
	t.Helper()
	cmd := command(t.Context(), t, tool(t, "python"), "tools/transform.py", "template.yaml")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tools/transform.py: %v\n%s", err, stderrOf(err))
	}
	return out
}

func stderrOf(err error) []byte {
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output does not wrap it
		return exit.Stderr
	}
	return nil
}

func decode(t *testing.T, raw []byte) stack {
	t.Helper()
	var s stack
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// properties returns one resource's properties in the transformed template; an absent resource has none.
func (s stack) properties(id string) map[string]any {
	properties, _ := at(s.Transformed, "Resources", id, "Properties").(map[string]any)
	return properties
}

// ids are the logical ids of the resources of one type, sorted.
func (s stack) ids(resourceType string) []string {
	resources, _ := s.Transformed["Resources"].(map[string]any)
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		if at(resources, id, "Type") == resourceType {
			ids = append(ids, id)
		}
	}
	return ids
}

// parameter returns one parameter's declaration.
func (s stack) parameter(name string) map[string]any {
	declaration, _ := at(s.Transformed, "Parameters", name).(map[string]any)
	return declaration
}

// most is the largest value that a number may have: the number itself, or its parameter's MaxValue.
func (s stack) most(value any) float64 {
	if name := ref(value); name != "" {
		value = s.parameter(name)["MaxValue"]
	}
	number, _ := value.(float64)
	return number
}
