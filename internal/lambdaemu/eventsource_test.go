package lambdaemu_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
)

// mapping runs an event source mapping over n messages for a time and returns the queue and the errors it reported.
func mapping(t *testing.T, n, batchSize int, during time.Duration, function lambdaemu.BatchHandler) (*queue.Memory, []error) {
	t.Helper()
	jobs := queue.NewMemory(queue.MemoryConfig{Visibility: lambdaemu.VisibilityTimeout})
	for i := range n {
		jobs.Send(t.Context(), []queue.Entry{{Body: fmt.Sprint(i), Attributes: map[string]string{"n": fmt.Sprint(i)}, Group: "g"}})
	}
	var errs []error
	source := lambdaemu.EventSource{
		Queue: jobs, Function: function, BatchSize: batchSize, Concurrency: 1, OnError: func(err error) { errs = append(errs, err) },
	}
	ctx, stop := context.WithTimeout(t.Context(), during)
	defer stop()
	source.Run(ctx)
	return jobs, errs
}

func TestABatchIsFilledAndWhatIsNotReportedIsDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		jobs, errs := mapping(t, 35, 20, time.Minute, func(_ context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
			sizes = append(sizes, len(e.Records))
			var answer events.SQSEventResponse
			for _, r := range e.Records {
				if r.Body == "7" {
					answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
				}
				if got := r.MessageAttributes["n"].StringValue; got == nil || *got != r.Body || r.Attributes["MessageGroupId"] != "g" ||
					r.Attributes["ApproximateReceiveCount"] != "1" || r.EventSource != "aws:sqs" || r.Attributes["SentTimestamp"] == "" {
					t.Errorf("record %+v", r)
				}
			}
			return answer, nil
		})
		if !slices.Equal(sizes, []int{20, 15}) || jobs.Len() != 1 || len(errs) > 0 {
			t.Errorf("batches of %v, %d messages left, errors %v; want 20 and 15, the one that failed, none", sizes, jobs.Len(), errs)
		}
	})
}

func TestABatchThatFailsIsDeliveredAgainWhole(t *testing.T) {
	t.Parallel()
	for name, function := range map[string]lambdaemu.BatchHandler{
		"an error": func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
			return events.SQSEventResponse{}, errors.New("refused")
		},
		"a panic": func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) { panic("crash") },
		"a time-out": func(ctx context.Context, _ events.SQSEvent) (events.SQSEventResponse, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			return events.SQSEventResponse{}, nil // too late
		},
		"an unknown item": func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
			return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "x"}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var receives atomic.Int64
				counted := func(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
					receives.Add(int64(len(e.Records)))
					return function(ctx, e)
				}
				// Once at the start, and once more after the visibility timeout.
				jobs, errs := mapping(t, 3, 10, lambdaemu.VisibilityTimeout+time.Minute, counted)
				if jobs.Len() != 3 || receives.Load() != 6 || len(errs) != 2 {
					t.Errorf("%d messages left, %d receives, errors %v; want 3, 6 and 2 errors", jobs.Len(), receives.Load(), errs)
				}
				time.Sleep(time.Minute) // until the late function has ended
			})
		})
	}
}
