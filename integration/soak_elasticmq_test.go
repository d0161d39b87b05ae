//go:build integration && soak

package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// elasticMQPatience is the longest wait until ElasticMQ listens. It needs 1.3 s on an idle machine.
	elasticMQPatience = time.Minute

	// survivor is the queue that tools/elasticmq/em.conf creates at every start.
	survivor = "/000000000000/survivor"
)

// elasticMQ is a server that implements SQS's protocol and keeps its messages in memory: they are lost when it ends.
type elasticMQ struct {
	endpoint string
	cmd      *exec.Cmd
	ended    chan struct{} // closed when the process has ended
}

// startElasticMQ starts a server on a free port of the loopback and kills it when the test ends.
func startElasticMQ(t *testing.T) *elasticMQ {
	t.Helper()
	server, err := launchElasticMQ("0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.kill() })
	return server
}

// restart starts a server without messages at the address of one that was killed.
func (e *elasticMQ) restart() error {
	_, port, err := net.SplitHostPort(strings.TrimPrefix(e.endpoint, "http://"))
	if err != nil {
		return err
	}
	again, err := launchElasticMQ(port)
	if err != nil {
		return err
	}
	*e = *again
	return nil
}

// kill is kill -9.
func (e *elasticMQ) kill() {
	_ = e.cmd.Process.Kill() // it may have ended already
	<-e.ended
}

// launchElasticMQ returns when the server listens on that port; "0" is a free one.
func launchElasticMQ(port string) (*elasticMQ, error) {
	jars, err := filepath.Abs(filepath.Join(root, ".elasticmq"))
	if err != nil {
		return nil, err
	}
	if found, err := filepath.Glob(filepath.Join(jars, "*.jar")); err != nil || len(found) == 0 {
		return nil, fmt.Errorf("there are no jars in %s; get them with: make soak", jars)
	}
	conf, err := filepath.Abs(filepath.Join(root, "tools", "elasticmq", "em.conf"))
	if err != nil {
		return nil, err
	}
	// A short-lived server starts in half the time with the first compiler only, and needs no second thread for garbage
	// collection.
	cmd := exec.Command("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
		"-Dconfig.file="+conf, "-Drest-sqs.bind-port="+port, "-cp", filepath.Join(jars, "*"), "org.elasticmq.server.Main")
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ElasticMQ: %w", err)
	}
	server := &elasticMQ{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(server.ended)
		_ = writer.CloseWithError(cmd.Wait()) // a signal ends it
	}()

	said := &strings.Builder{}
	listening := make(chan string, 1)
	go readAddress(reader, said, listening)
	select {
	case endpoint, ok := <-listening:
		if !ok {
			return nil, fmt.Errorf("ElasticMQ ended before it listened:\n%s", said)
		}
		server.endpoint = endpoint
		return server, nil
	case <-time.After(elasticMQPatience):
		server.kill()
		<-listening // closed, or too late; said is complete
		return nil, fmt.Errorf("ElasticMQ did not listen within %v:\n%s", elasticMQPatience, said)
	}
}

// readAddress sends the address once ElasticMQ has printed it and has printed that it started, in either order. It
// closes listening when the server ends before that. The output until then is kept; the rest is read and dropped.
func readAddress(output io.Reader, said *strings.Builder, listening chan<- string) {
	address := regexp.MustCompile(`visible server address (http://127\.0\.0\.1:\d+)`)
	endpoint, started := "", false
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		fmt.Fprintln(said, lines.Text())
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			endpoint = found[1]
		}
		started = started || strings.Contains(lines.Text(), " started in ")
		if endpoint != "" && started {
			listening <- endpoint
			_, _ = io.Copy(io.Discard, output)
			return
		}
	}
	close(listening)
}

// depthOf returns how many messages a queue holds: those that can be received, those in flight and the delayed ones.
func depthOf(ctx context.Context, client *sqs.Client, url string) (int, error) {
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, name := range []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	} {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += n
	}
	return sum, nil
}

// depth is depthOf for a queue that must respond.
func depth(t *testing.T, endpoint, url string) int {
	t.Helper()
	n, err := depthOf(t.Context(), sqsAt(endpoint), url)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func sqsAt(endpoint string) *sqs.Client {
	return sqs.NewFromConfig(awsConfig(), func(o *sqs.Options) { o.BaseEndpoint = &endpoint })
}
