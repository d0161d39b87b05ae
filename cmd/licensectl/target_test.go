package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
)

// fakeAWS is AWS as far as the commands use it: it answers CloudFormation, STS, Lambda, Secrets Manager and the logs on one
// address.
type fakeAWS struct {
	stacks    map[string]map[string]string // outputs by the stack's name
	fail      map[string]awsAnswer         // by the action's name
	arn       string                       // of the caller; "": STS does not answer
	secrets   map[string]string            // by ARN
	variables map[string]map[string]string // by function

	mu       sync.Mutex
	invoked  []payload
	payloads []string
	logged   []string
	actions  []string
}

// awsAnswer is an error of AWS's query protocol.
type awsAnswer struct {
	status        int
	code, message string
}

// outputsOf are the outputs of a stack of that name.
func outputsOf(name string) map[string]string {
	return map[string]string{
		"WebhookFunctionName": name + "-webhook", "WorkerFunctionName": name + "-worker", "Mode": "act",
		"QueueUrl": "https://sqs.example/1/" + name, "DeadLetterQueueUrl": "https://sqs.example/1/" + name + "-dead",
		"WebhookUrl": "https://api.example/webhooks/", "LicenseApiSecretArn": "arn:aws:secretsmanager:us-east-1:1:secret:license",
		"WebhookSecretsArn": "arn:aws:secretsmanager:us-east-1:1:secret:webhooks",
	}
}

func (f *fakeAWS) start(t *testing.T) (endpoint string) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("X-Amz-Target") != "" {
		f.serveJSON(w, r.Header.Get("X-Amz-Target"), body)
		return
	}
	if name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/2015-03-31/functions/"), "/configuration"); ok {
		_ = json.NewEncoder(w).Encode(map[string]any{"FunctionName": name, "Environment": map[string]any{"Variables": f.variables[name]}})
		return
	}
	if strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/") {
		f.payloads = append(f.payloads, string(body))
		var p payload
		if json.Unmarshal(body, &p) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		f.invoked = append(f.invoked, p)
		answer := map[string]any{"accepted": len(p.Requests), "ids": []string{}, "rejected": []string{}}
		for i := range p.Requests {
			answer["ids"] = append(answer["ids"].([]string), fmt.Sprint("id", i))
		}
		_ = json.NewEncoder(w).Encode(answer)
		return
	}
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	f.actions = append(f.actions, action)
	if wrong, ok := f.fail[action]; ok {
		awsError(w, wrong)
		return
	}
	switch action {
	case "DescribeStacks":
		outputs, ok := f.stacks[form.Get("StackName")]
		if !ok {
			awsError(w, awsAnswer{400, "ValidationError", "Stack with id " + form.Get("StackName") + " does not exist"})
			return
		}
		fmt.Fprint(w, `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackStatus>UPDATE_COMPLETE</StackStatus><Outputs>`)
		for _, key := range slices.Sorted(maps.Keys(outputs)) {
			fmt.Fprintf(w, `<member><OutputKey>%s</OutputKey><OutputValue>%s</OutputValue></member>`, key, outputs[key])
		}
		fmt.Fprint(w, `</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`)
	case "GetCallerIdentity":
		if f.arn == "" {
			awsError(w, awsAnswer{403, "ExpiredToken", "the token has expired"})
			return
		}
		fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>%s</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`, f.arn)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// serveJSON answers the services of AWS's JSON protocol.
func (f *fakeAWS) serveJSON(w http.ResponseWriter, operation string, body []byte) {
	_, action, _ := strings.Cut(operation, ".")
	f.actions = append(f.actions, action)
	if wrong, ok := f.fail[action]; ok {
		w.WriteHeader(wrong.status)
		fmt.Fprintf(w, `{"__type":%q,"message":%q}`, wrong.code, wrong.message)
		return
	}
	var in struct {
		SecretId  string // AWS's own spelling
		LogEvents []struct{ Message string }
	}
	_ = json.Unmarshal(body, &in)
	for _, e := range in.LogEvents {
		f.logged = append(f.logged, e.Message)
	}
	out := map[string]string{}
	if action == "GetSecretValue" {
		out["SecretString"], out["VersionId"] = f.secrets[in.SecretId], "v1"
	}
	_ = json.NewEncoder(w).Encode(out)
}

func awsError(w http.ResponseWriter, a awsAnswer) {
	w.WriteHeader(a.status)
	fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, a.code, a.message)
}

// parsed returns a target with these flags, and flags for the queues too.
func parsed(t *testing.T, args ...string) *target {
	t.Helper()
	var to target
	cmd := &cobra.Command{}
	to.addFlags(cmd, webhookFunctionName, queueURL, deadLetterQueueURL)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return &to
}

func TestAStackNamesEverythingThatACommandNeeds(t *testing.T) {
	t.Parallel()
	cloud := &fakeAWS{stacks: map[string]map[string]string{"shop": outputsOf("shop")}, arn: "arn:aws:sts::1:assumed-role/Ops/jane"}
	to := parsed(t, "--stack", "shop", "--endpoint-url", cloud.start(t))
	all := []resource{webhookFunctionName, workerFunctionName, queueURL, deadLetterQueueURL, webhookURL, licenseAPISecretARN, webhookSecretsARN, stackMode}
	at, err := to.open(t.Context(), all...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if got, want := at.of(r), outputsOf("shop")[r.output()]; got != want {
			t.Errorf("%s is %q, want %q", r.output(), got, want)
		}
	}
	if groups := at.logGroups(); !slices.Equal(groups, []string{"/aws/lambda/shop-webhook", "/aws/lambda/shop-worker"}) {
		t.Errorf("log groups %v", groups)
	}
	if at.watches() || at.isLocal() {
		t.Error("a stack in mode act watches, or is local")
	}
	if got := at.actor(t.Context()); got != cloud.arn {
		t.Errorf("the actor is %q, want the caller's ARN", got)
	}
	cloud.stacks["shop"]["Mode"] = "watch"
	if at, err = to.open(t.Context()); err != nil || !at.watches() {
		t.Errorf("watches is false in watch mode: %v", err)
	}
	cloud.arn = ""
	if got := at.actor(t.Context()); got != systemUser() || !strings.Contains(got, "@") {
		t.Errorf("without an answer of STS the actor is %q, want the system's user", got)
	}
}

func TestOfflineSubmitInvokesTheFunctionOfAStack(t *testing.T) {
	t.Parallel()
	cloud := &fakeAWS{stacks: map[string]map[string]string{"shop": outputsOf("shop")}, arn: "arn:aws:sts::1:assumed-role/Ops/jane"}
	submit := []string{"offline", "submit", requestFiles(t, file(t, "s.json", offlineSecrets), 1)[0], "--stack", "shop", "--endpoint-url", cloud.start(t)}
	code, _, stderr := command(t, submit...)
	if want := "to the function shop-webhook of the stack shop at http://"; code != exitDone || !strings.Contains(stderr, want) {
		t.Errorf("the preview: exit code %d, %s, want %q", code, stderr, want)
	}
	if len(cloud.invoked) != 0 {
		t.Fatal("the preview invokes the function")
	}
	if code, _, stderr = command(t, append(submit, "--comment", "ticket 4711", "--yes", "--expect", "1")...); code != exitDone {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if len(cloud.invoked) != 1 || cloud.invoked[0].By != cloud.arn || cloud.invoked[0].Comment != "ticket 4711" {
		t.Errorf("invoked with %+v", cloud.invoked)
	}
	if len(cloud.logged) != 2 || !strings.Contains(cloud.logged[0], `"phase":"begin"`) || !strings.Contains(cloud.logged[1], `"accepted":1`) {
		t.Errorf("audit lines %q", cloud.logged)
	}
}

func TestATargetThatCannotBeOpenedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	old := outputsOf("old")
	delete(old, "QueueUrl")
	stacks := map[string]map[string]string{"shop": outputsOf("shop"), "old": old}
	for name, c := range map[string]struct {
		args []string
		fail *awsAnswer
		code int
		err  string
		hint string
	}{
		"no stack of that name": {[]string{"--stack", "shup"}, nil, exitFailed, "there is no stack shup in the region", "AWS_REGION or AWS_PROFILE"},
		"an output is missing":  {[]string{"--stack", "old"}, nil, exitFailed, "the stack old has no output QueueUrl (its status is UPDATE_COMPLETE)", "present template"},
		"no right":              {[]string{"--stack", "shop"}, &awsAnswer{403, "AccessDenied", "not authorized"}, exitFailed, "the outputs of the stack shop cannot be read", "the right cloudformation:DescribeStacks"},
		"an old token":          {[]string{"--stack", "shop"}, &awsAnswer{403, "ExpiredToken", "expired"}, exitFailed, "ExpiredToken", "aws sso login"},
		"a bad name":            {[]string{"--stack", "shop"}, &awsAnswer{400, "ValidationError", "1 validation error detected"}, exitFailed, "1 validation error", ""},
		"both":                  {[]string{"--stack", "shop", "--queue-url", "https://q", "--function", "f"}, nil, exitUsage, "--stack cannot be combined with --function, --queue-url", "leave out"},
		"neither":               {[]string{"--dead-letter-queue-url", "https://q"}, nil, exitUsage, "no flag names the QueueUrl", "--stack, or give --queue-url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := &fakeAWS{stacks: stacks}
			if c.fail != nil {
				cloud.fail = map[string]awsAnswer{"DescribeStacks": *c.fail}
			}
			_, err := parsed(t, append(c.args, "--endpoint-url", cloud.start(t))...).open(t.Context(), queueURL)
			f, ok := err.(*failure) //nolint:errorlint // the error itself, as main prints it
			if !ok || f.code != c.code || !strings.Contains(f.Error(), c.err) || !strings.Contains(f.hint, c.hint) || c.hint == "" && f.hint != "" {
				t.Errorf("error %v (%+v), want %q, %q, exit code %d", err, f, c.err, c.hint, c.code)
			}
		})
	}
}

// TestWithoutRegionOrCredentialsThereIsAHint sets AWS's variables, which are the process's.
func TestWithoutRegionOrCredentialsThereIsAHint(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	open := func() (code int, stderr string) {
		code, _, stderr = command(t, "offline", "submit", file(t, "x.req", "e30"), "--stack", "shop")
		return code, stderr
	}
	if code, stderr := open(); code != exitFailed || !strings.Contains(stderr, "no region is set\nlicensectl: hint: set AWS_REGION") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	if code, stderr := open(); code != exitFailed || !strings.Contains(stderr, "no usable credentials") || !strings.Contains(stderr, "hint: choose a profile with AWS_PROFILE") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	t.Setenv("AWS_PROFILE", "nobody")
	if code, stderr := open(); code != exitFailed || !strings.Contains(stderr, "hint: correct AWS_PROFILE") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// TestTheFlagWinsOverAWSVariablesOfOneService sets AWS's variables, which are the process's.
func TestTheFlagWinsOverAWSVariablesOfOneService(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:1")
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
	cloud := &fakeAWS{stacks: map[string]map[string]string{"shop": outputsOf("shop")}, arn: "arn:aws:sts::1:assumed-role/Ops/jane"}
	at, err := parsed(t, "--stack", "shop", "--endpoint-url", cloud.start(t)).open(t.Context(), queueURL)
	if err != nil {
		t.Fatal(err)
	}
	if got := at.actor(t.Context()); got != cloud.arn {
		t.Errorf("the actor is %q", got)
	}
}

func TestTheNameOfAFunctionIsFoundInItsARN(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"shop-webhook": "shop-webhook", "shop-webhook:prod": "shop-webhook",
		"arn:aws:lambda:us-east-1:123456789012:function:shop-webhook":       "shop-webhook",
		"arn:aws-cn:lambda:cn-north-1:123456789012:function:shop-webhook:7": "shop-webhook",
		"123456789012:function:shop-webhook":                                "shop-webhook",
	} {
		if got := functionName(text); got != want {
			t.Errorf("functionName(%q) is %q, want %q", text, got, want)
		}
	}
}
