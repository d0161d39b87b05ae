package source

import (
	"license-deactivator/internal/expression"
	"license-deactivator/pkg/signing"
)

// facts are the input of values and conditions: one event of a delivery, or one line of its order, with the delivery's
// headers and the scheme that verified it.
type facts struct {
	expression.Tree
	headers map[string]string // names in lower case
	scheme  *signing.Scheme   // nil: no header counts as signed
	line    int               // of the order, from 1; 0: the event itself
	trace   *trace            // nil: no explanation is wanted
	large   bool              // the body is larger than maxValuesBody
}
