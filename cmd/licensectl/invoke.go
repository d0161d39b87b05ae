package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"license-deactivator/internal/deactivation"
)

// invokeTimeout bounds one invocation. The webhook function itself has less.
const invokeTimeout = time.Minute

// webhookFunction invokes the webhook function of a place.
type webhookFunction struct {
	name   string // name or ARN
	place  string // for a person
	client *lambda.Client
}

// webhookFunction returns the webhook function; the place was opened with webhookFunctionName.
func (p *place) webhookFunction() *webhookFunction {
	return &webhookFunction{
		name: p.of(webhookFunctionName), place: p.functionText(),
		client: lambda.NewFromConfig(p.config, func(o *lambda.Options) { o.BaseEndpoint = p.endpointFor(o.BaseEndpoint) }),
	}
}

// functionText describes the webhook function for a person.
func (p *place) functionText() string {
	text := "function " + p.of(webhookFunctionName)
	if p.stack != "" {
		text += " of the stack " + p.stack
	}
	if p.endpoint != "" {
		text += " at " + p.endpoint
	}
	return text
}

// String describes the function for a person.
func (f *webhookFunction) String() string { return f.place }

// invoke sends one payload and returns the function's answer.
func (f *webhookFunction) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, invokeTimeout)
	defer cancel()
	out, err := f.client.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(f.name), Payload: payload})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	if out.FunctionError != nil {
		var said struct {
			Message string `json:"errorMessage"`
		}
		if json.Unmarshal(out.Payload, &said) != nil || said.Message == "" {
			return nil, fmt.Errorf("%s: failed (%s)", f, aws.ToString(out.FunctionError))
		}
		return nil, fmt.Errorf("%s: %s", f, said.Message)
	}
	return out.Payload, nil
}

// sentRow is what the webhook function answers about one row of a direct invocation.
type sentRow struct {
	id            string // of the request, if it was accepted
	rejected      bool
	code, message string // of a rejected one
}

// outcome returns accepted or rejected.
func (r sentRow) outcome() string {
	if r.rejected {
		return string(deactivation.Rejected)
	}
	return string(deactivation.Accepted)
}

// readRows reads the function's answer about n rows, in their order.
func readRows(answer []byte, n int) ([]sentRow, error) {
	var said struct {
		IDs      []string `json:"ids"`
		Rejected []struct {
			Index         int
			Code, Message string
		} `json:"rejected"`
	}
	if json.Unmarshal(answer, &said) != nil || len(said.IDs)+len(said.Rejected) != n {
		return nil, errors.New("the answer is not that of a webhook function: is it the right function?")
	}
	rows := make([]sentRow, n)
	for _, r := range said.Rejected {
		if r.Index < 0 || r.Index >= n || rows[r.Index].rejected {
			return nil, errors.New("the function's answer names a request that was not sent")
		}
		rows[r.Index] = sentRow{rejected: true, code: r.Code, message: r.Message}
	}
	ids := said.IDs
	for i := range rows {
		if !rows[i].rejected {
			rows[i].id, ids = ids[0], ids[1:]
		}
	}
	return rows, nil
}
