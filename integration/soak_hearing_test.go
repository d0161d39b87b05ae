//go:build integration && soak

package integration

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"license-deactivator/internal/queue"
)

// hearing is an HTTP client that notes which entries of a Send the server's answers take. It is what the wire says,
// whatever Send makes of it.
type hearing struct {
	client *awshttp.BuildableClient

	mu      sync.Mutex
	calls   int
	server  int         // 1, and after a restart 2
	taken   map[int]int // by entry the server that took it; 2 for a call that began after the restart
	enough  int         // entries after which reached is closed; 0 for never
	reached chan struct{}
}

func newHearing() *hearing {
	return &hearing{
		client: awshttp.NewBuildableClient(), server: 1, taken: map[int]int{}, reached: make(chan struct{}),
	}
}

func (h *hearing) open(endpoint, url string) *queue.SQS {
	cfg := awsConfig()
	cfg.HTTPClient = h
	return queue.OpenSQS(cfg, endpoint, url)
}

func (h *hearing) nextServer() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server++
}

// Do implements aws.HTTPClient.
func (h *hearing) Do(req *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.calls++
	server := h.server
	h.mu.Unlock()

	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if resp.StatusCode == http.StatusOK {
		h.note(server, body)
	}
	return resp, nil
}

// note reads an answer to SendMessageBatch; the ids are the entries' indexes.
func (h *hearing) note(server int, body []byte) {
	var answer struct{ Successful []struct{ Id string } }
	if json.Unmarshal(body, &answer) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := len(h.taken)
	for _, s := range answer.Successful {
		if i, err := strconv.Atoi(s.Id); err == nil {
			h.taken[i] = server
		}
	}
	if before < h.enough && len(h.taken) >= h.enough {
		close(h.reached)
	}
}

func (h *hearing) takenBy(server int) []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	var indexes []int
	for i, by := range h.taken {
		if by == server {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// judge wants every entry taken or reported, and reported in rising order with an error.
func (h *hearing) judge(t *testing.T, size int, failed []queue.Failure) {
	t.Helper()
	reported := map[int]bool{}
	for i, f := range failed {
		if f.Err == nil || i > 0 && f.Index <= failed[i-1].Index {
			t.Errorf("failure %d: index %d, error %v", i, f.Index, f.Err)
		}
		reported[f.Index] = true
	}
	var silent []string
	for i := range size {
		if _, taken := h.taken[i]; !taken && !reported[i] {
			silent = append(silent, strconv.Itoa(i))
		} else if taken && reported[i] {
			t.Errorf("entry %d was taken and is reported: it would be sent twice", i)
		}
	}
	if len(silent) > 0 {
		t.Errorf("%d entries were neither taken nor reported: %s", len(silent), strings.Join(silent[:min(len(silent), 20)], " "))
	}
}
