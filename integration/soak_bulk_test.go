//go:build integration && soak

package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
)

const (
	// bulk is the number of requests of the largest direct invocation: some 300 bytes each in Lambda's 6 MB.
	bulk = 20_000

	// perBatch is the largest batch that SQS accepts and returns.
	perBatch = 10

	// drainers is the number of receivers that empty a queue; ElasticMQ is fastest with eight.
	drainers = 8

	// emptied is the longest time for reading a queue of that size. It takes 5 s on an idle machine.
	emptied = 2 * time.Minute
)

func bulkEntries(t *testing.T, n int) []queue.Entry {
	t.Helper()
	entries := make([]queue.Entry, n)
	for i := range entries {
		wire, err := deactivation.Request{
			ID: fmt.Sprint("ops.bulk.", i), Source: "ops", Cause: deactivation.CauseManual,
			License: deactivation.License{Product: "soak", LicenseKey: fmt.Sprintf("BULK-%04d-%04d", i/10_000, i%10_000), HardwareID: "hw"},
		}.Wire()
		if err != nil {
			t.Fatal(err)
		}
		entries[i] = queue.Entry{Body: wire, Group: "ops"}
	}
	return entries
}

//nolint:paralleltest // it measures rates
func TestSoakBulkArrivesOnceEach(t *testing.T) {
	server := startElasticMQ(t)
	url, _ := createQueues(t, server.endpoint, maxReceiveCount)
	answers := newAnswerLog()
	entries := bulkEntries(t, bulk)

	begin := time.Now()
	if failed := answers.open(server.endpoint, url).Send(t.Context(), entries); failed != nil {
		t.Fatalf("%d of %d were not accepted, first %v", len(failed), bulk, failed[0].Err)
	}
	t.Logf("sent %s", rate(bulk, begin))

	// Send repeats a batch only after a lost answer; its messages may then be in the queue twice.
	repeats := answers.calls - bulk/perBatch
	n := depth(t, server.endpoint, url)
	if n < bulk || n > bulk+repeats*perBatch {
		t.Errorf("the queue holds %d messages, want %d; %d batches were sent again", n, bulk, repeats)
	}

	begin = time.Now()
	copies := drainQueue(t, server.endpoint, url, n)
	t.Logf("received and deleted %s; %d batches had been sent again", rate(n, begin), repeats)
	for i, entry := range entries {
		if copies[entry.Body] == 0 {
			t.Errorf("entry %d is missing", i)
		}
		delete(copies, entry.Body)
	}
	if len(copies) > 0 {
		t.Errorf("%d messages were never sent", len(copies))
	}
}

// TestSoakSendAcrossAKill kills the server in the middle of a Send. ElasticMQ then loses its messages, which SQS never
// does; the test therefore checks only what Send promises: every entry was accepted by an answer, or is reported.
//
//nolint:paralleltest // it kills a server that it starts, at a measured moment
func TestSoakSendAcrossAKill(t *testing.T) {
	rng := rngOf(soakSeed(t), 0)
	for _, c := range []struct {
		name    string
		size    int
		restart bool
		left    time.Duration // for the sender after the kill
	}{
		{"followed by a start", bulk, true, time.Minute},
		{"for good, and the deadline ends Send", bulk / 4, false, 2 * time.Second},
		{"for good, and Send ends its attempts", bulk / 20, false, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := startElasticMQ(t)
			url := server.endpoint + survivor
			answers := newAnswerLog()
			answers.enough = c.size/10 + rng.IntN(c.size/2)
			entries := bulkEntries(t, c.size)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sent := make(chan []queue.Failure, 1)
			go func() { sent <- answers.open(server.endpoint, url).Send(ctx, entries) }()
			select {
			case <-answers.reached:
			case failed := <-sent:
				t.Fatalf("it ended with %d failures before %d entries were accepted", len(failed), answers.enough)
			}
			server.kill()
			defer time.AfterFunc(c.left, cancel).Stop()
			if c.restart {
				if err := server.restart(); err != nil {
					t.Fatal(err)
				}
				answers.nextServer()
			}
			failed := <-sent

			t.Logf("killed after %d entries: %d accepted, of them %d by the second server; %d reported",
				answers.enough, len(answers.accepted), len(answers.acceptedBy(2)), len(failed))
			answers.judge(t, c.size, failed)
			if !c.restart {
				if len(failed) == 0 {
					t.Error("nothing is reported, though no server ran")
				}
				return
			}
			if len(answers.acceptedBy(2)) == 0 {
				t.Fatal("the second server accepted nothing: the kill came too late, or Send ended its attempts")
			}
			copies := drainQueue(t, server.endpoint, url, depth(t, server.endpoint, url))
			for _, i := range answers.acceptedBy(2) {
				if copies[entries[i].Body] == 0 {
					t.Errorf("entry %d was accepted by the second server and is missing", i)
				}
			}
		})
	}
}

// drainQueue receives and deletes n messages and returns how many there were of each body.
func drainQueue(t *testing.T, endpoint, url string, n int) map[string]int {
	t.Helper()
	copies := map[string]int{}
	for _, m := range drainMessages(t, endpoint, url, n) {
		copies[m.Body]++
	}
	return copies
}

// drainMessages receives and deletes until n messages have arrived and the queue is empty. A message that is received
// again, since its delete or the answer to an earlier receive was lost, counts once.
func drainMessages(t *testing.T, endpoint, url string, n int) map[string]queue.Received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), emptied)
	defer cancel()
	var mu sync.Mutex
	messages := map[string]queue.Received{} // by the id that the queue gave
	client := sqsAt(endpoint)
	empty := func() bool {
		mu.Lock()
		enough := len(messages) >= n
		mu.Unlock()
		if !enough {
			return false
		}
		left, err := depthOf(ctx, client, url)
		return err == nil && left == 0
	}

	var group sync.WaitGroup
	for range drainers {
		q := queue.OpenSQS(awsConfig(), endpoint, url)
		group.Go(func() {
			for !empty() && ctx.Err() == nil {
				received, err := q.Receive(ctx, perBatch, longPoll, visibility)
				if err != nil {
					continue // its messages are received again
				}
				var receipts []string
				mu.Lock()
				for _, m := range received {
					messages[m.ID] = m
					receipts = append(receipts, m.Receipt)
				}
				mu.Unlock()
				_ = q.Delete(ctx, receipts) // what it does not delete is received again
			}
		})
	}
	group.Wait()
	if !empty() {
		t.Errorf("after %v %d messages have arrived, want %d and an empty queue", emptied, len(messages), n)
	}
	return messages
}

// rate is a count with its time and its count a second.
func rate(n int, begin time.Time) string {
	took := time.Since(begin)
	return fmt.Sprintf("%d in %.1f s, %.0f/s", n, took.Seconds(), float64(n)/took.Seconds())
}
