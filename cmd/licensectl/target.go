package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"license-deactivator/internal/local"
)

// localFunction is the webhook function's name in licensectl local.
const localFunction = "webhook"

// resource is a part of a deployed stack that a command can use.
type resource int

const (
	webhookFunctionName resource = iota
	workerFunctionName
	queueURL
	deadLetterQueueURL
	webhookURL
	licenseAPISecretARN
	webhookSecretsARN
	stackMode
)

// output returns the name of the stack's output.
func (r resource) output() string {
	switch r {
	case webhookFunctionName:
		return "WebhookFunctionName"
	case workerFunctionName:
		return "WorkerFunctionName"
	case queueURL:
		return "QueueUrl"
	case deadLetterQueueURL:
		return "DeadLetterQueueUrl"
	case webhookURL:
		return "WebhookUrl"
	case licenseAPISecretARN:
		return "LicenseApiSecretArn"
	case webhookSecretsARN:
		return "WebhookSecretsArn"
	case stackMode:
		return "Mode"
	}
	return ""
}

// flag returns the flag that names the resource alone, without --stack; "": there is none.
func (r resource) flag() string {
	switch r {
	case webhookFunctionName:
		return "function"
	case queueURL:
		return "queue-url"
	case deadLetterQueueURL:
		return "dead-letter-queue-url"
	}
	return ""
}

// target is where a command acts, as its flags say: a deployed stack (--stack), single resources of one (--function,
// --queue-url, --dead-letter-queue-url), or a running licensectl local (--endpoint-url with an address of this machine).
// Region and credentials are AWS's own: environment, profile, role.
//
// A command calls addFlags once, then check, and open before it acts.
type target struct {
	stack    string
	endpoint string
	named    map[resource]*string // by flag
}

// addFlags adds --stack and --endpoint-url, and a flag for each resource that can be named alone.
func (t *target) addFlags(cmd *cobra.Command, resources ...resource) {
	f := cmd.Flags()
	f.StringVar(&t.stack, "stack", "", "the deployed stack's name; its outputs name the rest")
	f.StringVar(&t.endpoint, "endpoint-url", "", "address in place of AWS's; that of licensectl local is http://"+defaultAddress)
	t.named = map[resource]*string{}
	for _, r := range resources {
		usage := "the stack's output " + r.output() + ", in place of --stack"
		if r == webhookFunctionName {
			usage = "the webhook function's name or ARN, " + usage
		}
		t.named[r] = f.String(r.flag(), "", usage)
	}
}

// given reports whether any flag says where to act.
func (t *target) given() bool {
	return t.stack != "" || t.endpoint != "" || t.namesAny()
}

func (t *target) namesAny() bool {
	for _, value := range t.named {
		if *value != "" {
			return true
		}
	}
	return false
}

// isLocal reports whether the target is a running licensectl local: an address of this machine, without a stack. Its
// function may be named.
func (t *target) isLocal() bool {
	return t.onThisMachine() && t.stack == "" && !t.namesQueue()
}

func (t *target) namesQueue() bool {
	for r, value := range t.named {
		if r != webhookFunctionName && *value != "" {
			return true
		}
	}
	return false
}

func (t *target) onThisMachine() bool {
	u, err := url.Parse(t.endpoint)
	return err == nil && t.endpoint != "" && isLoopback(u.Hostname())
}

// check refuses flags that do not say where the needed resources are. It makes no call.
func (t *target) check(needed ...resource) error {
	if t.endpoint != "" {
		u, err := url.Parse(t.endpoint)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
			return misused("give https://…, or http:// for this machine", "--endpoint-url is not a usable address")
		}
	}
	if t.stack != "" {
		if t.namesAny() {
			return misused("leave out --stack or the others: the stack's outputs name them", "--stack cannot be combined with %s", t.flags())
		}
		return nil
	}
	for _, r := range needed {
		if r.flag() == "" {
			if t.isLocal() {
				continue
			}
			return misused("name the stack with --stack NAME", "the %s is known only from a stack", r.output())
		}
		if !t.isLocal() && *t.named[r] == "" {
			return t.missing(r)
		}
	}
	return nil
}

// missing is the error of a resource that no flag names.
func (t *target) missing(r resource) error {
	if r == webhookFunctionName {
		return misused("name a deployed stack with --stack or its function with --function, or a running licensectl local with --endpoint-url http://"+
			defaultAddress, "there is no function to invoke")
	}
	return misused("name a deployed stack with --stack, or give --"+r.flag(), "no flag names the %s", r.output())
}

// flags returns the flags that name single resources, for a person.
func (t *target) flags() string {
	var names []string
	for r, value := range t.named {
		if *value != "" {
			names = append(names, "--"+r.flag())
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// values are the flags that were given, each with its value.
func (t *target) values() (flags [][2]string) {
	add := func(flag, value string) {
		if value != "" {
			flags = append(flags, [2]string{flag, value})
		}
	}
	add("stack", t.stack)
	add("endpoint-url", t.endpoint)
	for _, r := range []resource{webhookFunctionName, queueURL, deadLetterQueueURL} {
		if value := t.named[r]; value != nil {
			add(r.flag(), *value)
		}
	}
	return flags
}

// String describes the target for a person, such as "stack shop", "function my-webhook" or "licensectl local at
// http://127.0.0.1:8080".
func (t *target) String() string {
	text := ""
	switch {
	case t.stack != "":
		text = "stack " + t.stack
	case t.isLocal():
		return "licensectl local at " + t.endpoint
	case t.named[webhookFunctionName] != nil && *t.named[webhookFunctionName] != "":
		text = "function " + *t.named[webhookFunctionName]
	default:
		for r, value := range t.named {
			if *value != "" {
				text = cmp.Or(text, r.output()+" "+*value)
			}
		}
	}
	if t.endpoint != "" {
		text += " at " + t.endpoint
	}
	return text
}

// place is an open target: what it consists of, and the configuration of AWS's clients for it.
type place struct {
	*target
	outputs map[resource]string
	config  aws.Config
}

// open finds the needed resources: it reads the outputs of the stack, or takes the flags. Each of its errors says what
// to do. In licensectl local they have fixed names; it has no stack's secrets.
func (t *target) open(ctx context.Context, needed ...resource) (*place, error) {
	if err := t.check(needed...); err != nil {
		return nil, err
	}
	p := &place{target: t, outputs: map[resource]string{}}
	if t.isLocal() {
		p.config = aws.Config{Region: localRegion, Credentials: aws.AnonymousCredentials{}, BaseEndpoint: aws.String(t.endpoint)}
		p.outputs = map[resource]string{
			webhookFunctionName: localFunction, workerFunctionName: local.WorkerName, webhookURL: t.localURL("webhooks/"),
			queueURL: t.localURL("queues/" + local.QueueName), deadLetterQueueURL: t.localURL("queues/" + local.DeadLetterName),
		}
	} else {
		config, err := t.loadConfig(ctx)
		if err != nil {
			return nil, err
		}
		p.config = config
	}
	for r, value := range t.named {
		if *value != "" {
			p.outputs[r] = *value
		}
	}
	if t.stack == "" {
		return p, nil
	}
	outputs, status, err := p.readStack(ctx)
	if err != nil {
		return nil, err
	}
	for r := webhookFunctionName; r.output() != ""; r++ {
		p.outputs[r] = outputs[r.output()]
	}
	for _, r := range needed {
		if p.outputs[r] == "" {
			return nil, failed(fmt.Errorf("the stack %s has no output %s (its status is %s)", t.stack, r.output(), status),
				"is it a stack of this project's template? deploy it with the present template, or wait until its deployment ends")
		}
	}
	return p, nil
}

// localURL returns an address of licensectl local.
func (t *target) localURL(path string) string {
	return strings.TrimSuffix(t.endpoint, "/") + "/" + path
}

// of returns a resource's name, address or value; "" if it is not known.
func (p *place) of(r resource) string { return p.outputs[r] }

// watches reports whether the stack is known to be in watch mode, in which it writes nothing.
func (p *place) watches() bool { return p.of(stackMode) == modeWatch }

// logGroups returns the log groups of the functions that are known, the webhook's first. Those of a stack have its name
// (template.yaml); without one a function is taken to log where Lambda does by itself.
func (p *place) logGroups() []string {
	if p.stack != "" {
		return []string{"/aws/lambda/" + p.stack + "-webhook", "/aws/lambda/" + p.stack + "-worker"}
	}
	var groups []string
	for _, r := range []resource{webhookFunctionName, workerFunctionName} {
		if name := p.of(r); name != "" && !p.isLocal() {
			groups = append(groups, "/aws/lambda/"+functionName(name))
		}
	}
	return groups
}

// functionName returns the name of a function that is given by name, ARN or partial ARN, without a version.
func functionName(text string) string {
	if _, after, isARN := strings.Cut(text, ":function:"); isARN {
		text = after
	}
	name, _, _ := strings.Cut(text, ":")
	return name
}
