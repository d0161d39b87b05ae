package source

import (
	"slices"
	"strings"
)

// maxValues bounds the values of one rule that are logged.
const maxValues = 20

// maxValuesBody is the largest body whose values are logged. To hide the names of licenses all of them are read once more;
// real deliveries have some tens of KiB, and a hostile one must not cost twice.
const maxValuesBody = 64 << 10

// valuesOf describes the values on which a rule decided, in one line for the log: the type, if the rule names one, and
// what its condition reads and finds, such as "type 'charge.refunded', data.object.refunded true". It shows no key: values
// that the event names as a license or a device are shortened, as in Explain.
func (s *Source) valuesOf(r *rule, eventType string, f facts) string {
	var parts []string
	if len(r.types) > 0 {
		parts = append(parts, "type '"+printable(eventType)+"'")
	}
	if len(r.when) > 0 && !f.large {
		f.trace = &trace{hidden: s.licenses.named(f)}
		_, _ = r.when.holds(f) // the mapping has reported its error
		for _, test := range f.trace.tests {
			for _, read := range test.Reads {
				text := read.Name + " " + read.Text
				if read.Text != absent && len(parts) < maxValues && !slices.Contains(parts, text) {
					parts = append(parts, text)
				}
			}
		}
	}
	return strings.Join(parts, ", ")
}
