// Package lambdaemu emulates the two AWS services that invoke the functions, in memory and without AWS:
//
//   - APIGateway is an HTTP API (payload format 2.0) and Lambda's Invoke endpoint in front of the webhook function.
//   - EventSource is Lambda's event source mapping between an SQS queue and the worker function.
//
// Both are as strict as AWS where it matters to a function: time-outs, payload limits, header names, partial batch
// responses. Neither depends on a handler; a function is a Go function. `licensectl local` and the simulation use this
// package.
package lambdaemu

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// Settings of the deployment, as in template.yaml; a test compares them.
const (
	WebhookTimeout    = 10 * time.Second  // Timeout of the webhook function
	WorkerTimeout     = 60 * time.Second  // Timeout of the worker function
	VisibilityTimeout = 370 * time.Second // of the queue: six times the worker's time-out, plus the batching window
	MaxReceiveCount   = 300               // of the queue's redrive policy
)

// A Function is a Lambda function that takes any payload, such as the webhook function.
type Function func(ctx context.Context, payload []byte) ([]byte, error)

// A BatchHandler is a Lambda function that an SQS queue invokes, such as the worker function.
type BatchHandler func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)
