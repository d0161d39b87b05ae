package integration

import (
	"encoding/json"
	"strings"
)

// at goes down maps by key and lists by index; an absent value is nil.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

// ref is the name in {"Ref": …}, or "".
func ref(v any) string {
	name, _ := at(v, "Ref").(string)
	return name
}

// arnOf is the resource in {"Fn::GetAtt": [resource, "Arn"]}, or "".
func arnOf(v any) string {
	if at(v, "Fn::GetAtt", 1) != "Arn" {
		return ""
	}
	id, _ := at(v, "Fn::GetAtt", 0).(string)
	return id
}

// text is a value as JSON, for comparisons and messages.
func text(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}
