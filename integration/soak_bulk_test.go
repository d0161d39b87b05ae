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
	// bulk is how many requests the largest direct invocation holds, some 300 bytes each in Lambda's 6 MB.
	bulk = 20_000

	// perBatch is how many messages SQS takes and hands out at once.
	perBatch = 10

	// drainers empty a queue; eight are the fastest that ElasticMQ serves.
	drainers = 8

	// emptied is how long a queue of that size may take to be read. It takes 5 s on an idle machine.
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
	heard := newHearing()
	entries := bulkEntries(t, bulk)

	begin := time.Now()
	if failed := heard.open(server.endpoint, url).Send(t.Context(), entries); failed != nil {
		t.Fatalf("%d of %d were not taken, first %v", len(failed), bulk, failed[0].Err)
	}
	t.Logf("sent %s", rate(bulk, begin))

	// Only an answer that was lost on the way sends a batch again, and its messages may then be there twice.
	repeats := heard.calls - bulk/perBatch
	n := depth(t, server.endpoint, url)
	if n < bulk || n > bulk+repeats*perBatch {
		t.Errorf("the queue holds %d messages, want %d; %d batches were sent again", n, bulk, repeats)
	}

	begin = time.Now()
	copies := drainQueue(t, server.endpoint, url, n)
	t.Logf("received and deleted %s; %d batches had been sent again", rate(n, begin), repeats)
	for i, entry := range entries {
		if copies[entry.Body] == 0 {
			t.Errorf("entry %d is not there", i)
		}
		delete(copies, entry.Body)
	}
	if len(copies) > 0 {
		t.Errorf("%d messages are there that nobody sent", len(copies))
	}
}

// TestSoakSendAcrossAKill kills the server in the middle of a Send. What it had is lost, as SQS never loses it; so
// this holds only what Send promises: an entry was taken by an answer, or it is reported.
//
//nolint:paralleltest // it kills at a moment of its own, on a machine of its own
func TestSoakSendAcrossAKill(t *testing.T) {
	dice := diceOf(soakSeed(t), 0)
	for _, c := range []struct {
		name    string
		size    int
		restart bool
		left    time.Duration // to the sender, from then on
	}{
		{"and a start", bulk, true, time.Minute},
		{"for good, and time runs out", bulk / 4, false, 2 * time.Second},
		{"for good, and Send gives up", bulk / 20, false, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := startElasticMQ(t)
			url := server.endpoint + survivor
			heard := newHearing()
			heard.enough = c.size/10 + dice.IntN(c.size/2)
			entries := bulkEntries(t, c.size)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sent := make(chan []queue.Failure, 1)
			go func() { sent <- heard.open(server.endpoint, url).Send(ctx, entries) }()
			select {
			case <-heard.reached:
			case failed := <-sent:
				t.Fatalf("it ended with %d failures before %d entries were taken", len(failed), heard.enough)
			}
			server.kill()
			defer time.AfterFunc(c.left, cancel).Stop()
			if c.restart {
				if err := server.restart(); err != nil {
					t.Fatal(err)
				}
				heard.nextServer()
			}
			failed := <-sent

			t.Logf("killed after %d entries: %d taken, of them %d by the second server; %d reported",
				heard.enough, len(heard.taken), len(heard.takenBy(2)), len(failed))
			heard.judge(t, c.size, failed)
			if !c.restart {
				if len(failed) == 0 {
					t.Error("nothing is reported, though nobody was there")
				}
				return
			}
			if len(heard.takenBy(2)) == 0 {
				t.Fatal("the second server took nothing: the kill came too late, or Send gave up")
			}
			copies := drainQueue(t, server.endpoint, url, depth(t, server.endpoint, url))
			for _, i := range heard.takenBy(2) {
				if copies[entries[i].Body] == 0 {
					t.Errorf("entry %d was taken by the second server and is not there", i)
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

// drainMessages receives and deletes until n messages have come and the queue is empty. One that comes again, since its
// delete or the answer to an earlier receive was lost, counts once.
func drainMessages(t *testing.T, endpoint, url string, n int) map[string]queue.Received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), emptied)
	defer cancel()
	var mu sync.Mutex
	messages := map[string]queue.Received{} // by the queue's id
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
					continue // its messages come again
				}
				var receipts []string
				mu.Lock()
				for _, m := range received {
					messages[m.ID] = m
					receipts = append(receipts, m.Receipt)
				}
				mu.Unlock()
				_ = q.Delete(ctx, receipts) // what it does not delete comes again
			}
		})
	}
	group.Wait()
	if !empty() {
		t.Errorf("after %v %d messages have come, want %d and an empty queue", emptied, len(messages), n)
	}
	return messages
}

// rate is a count with its time and its count a second.
func rate(n int, begin time.Time) string {
	took := time.Since(begin)
	return fmt.Sprintf("%d in %.1f s, %.0f/s", n, took.Seconds(), float64(n)/took.Seconds())
}
