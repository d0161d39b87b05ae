package main

import (
	"bytes"
	"context"
	"encoding/json"

	"license-deactivator/internal/bulk"
)

// functionTarget sends batches to the webhook function.
type functionTarget struct{ function *webhookFunction }

// Send implements bulk.Target.
func (t functionTarget) Send(ctx context.Context, b bulk.Batch) (bulk.Answer, error) {
	payload, err := invocationOf(b)
	if err != nil {
		return bulk.Answer{}, err
	}
	answer, err := t.function.invoke(ctx, payload)
	if err != nil {
		return bulk.Answer{}, err
	}
	rows, err := readRows(answer, len(b.Rows))
	if err != nil {
		return bulk.Answer{}, err
	}
	return answerOf(rows), nil
}

// invocationOf is a direct invocation. The rows are JSON already and are not written anew, since there may be many.
func invocationOf(b bulk.Batch) ([]byte, error) {
	head, err := json.Marshal(struct {
		Source  string `json:"source"`
		DryRun  bool   `json:"dry_run,omitempty"`
		Run     string `json:"run"`
		By      string `json:"by"`
		Comment string `json:"comment,omitempty"`
	}{bulk.Source, b.DryRun, b.Run, b.By, b.Comment})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	size := len(head) + len(`,"requests":[]}`)
	for _, row := range b.Rows {
		size += len(row) + len(",")
	}
	out.Grow(size)
	out.Write(head[:len(head)-1])
	out.WriteString(`,"requests":[`)
	for i, row := range b.Rows {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(row)
	}
	out.WriteString("]}")
	return out.Bytes(), nil
}

func answerOf(rows []sentRow) bulk.Answer {
	var answer bulk.Answer
	for i, r := range rows {
		if r.rejected {
			answer.Rejected = append(answer.Rejected, bulk.Rejection{Index: i, Code: r.code, Message: r.message})
		} else {
			answer.Accepted++
		}
	}
	return answer
}
