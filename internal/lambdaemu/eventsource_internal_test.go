package lambdaemu

import (
	"testing"

	"license-deactivator/internal/queue"
)

// TestBatchResponsesAreReadAsLambdaDoes follows the lists of complete success and complete failure in
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
func TestBatchResponsesAreReadAsLambdaDoes(t *testing.T) {
	t.Parallel()
	batch := []queue.Received{{ID: "a"}, {ID: "b"}}
	for name, c := range map[string]struct {
		answer string
		failed []string
		whole  bool // the batch fails as a whole
	}{
		"an empty list":          {answer: `{"batchItemFailures":[]}`},
		"a null list":            {answer: `{"batchItemFailures":null}`},
		"an empty response":      {answer: `{}`},
		"a null response":        {answer: `null`},
		"one of two":             {answer: `{"batchItemFailures":[{"itemIdentifier":"b"}]}`, failed: []string{"b"}},
		"both":                   {answer: `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}`, failed: []string{"a", "b"}},
		"not JSON":               {answer: `{`, whole: true},
		"a list":                 {answer: `[]`, whole: true},
		"another key":            {answer: `{"failures":[]}`, whole: true},
		"no list":                {answer: `{"batchItemFailures":"a"}`, whole: true},
		"an empty identifier":    {answer: `{"batchItemFailures":[{"itemIdentifier":""}]}`, whole: true},
		"a null identifier":      {answer: `{"batchItemFailures":[{"itemIdentifier":null}]}`, whole: true},
		"a misspelt identifier":  {answer: `{"batchItemFailures":[{"itemID":"a"}]}`, whole: true},
		"an unknown identifier":  {answer: `{"batchItemFailures":[{"itemIdentifier":"c"}]}`, whole: true},
		"a known and an unknown": {answer: `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}`, whole: true},
	} {
		failed, err := parseBatchResponse([]byte(c.answer), batch)
		if (err != nil) != c.whole || len(failed) != len(c.failed) {
			t.Errorf("%s: %v, %v, want %v, whole %t", name, failed, err, c.failed, c.whole)
		}
		for _, id := range c.failed {
			if !failed[id] {
				t.Errorf("%s: %s is to be deleted", name, id)
			}
		}
	}
}
