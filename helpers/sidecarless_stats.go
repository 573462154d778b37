// Package sidecarless sends the task metadata and task stats of the ECS task in which this process runs to sidecarless.
//
//	sidecarless.Start(time.Minute)
//
// Go 1.16 or later, no dependency. helpers/README.md describes the environment variables and the behavior.
package sidecarless

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// One process of the task holds this address, and sends. The others try again at each interval. The port is below the
	// ephemeral range of Linux, so that no outgoing connection has it.
	electionAddress = "127.0.0.1:23190"
	metadataTimeout = 3 * time.Second
	pushTimeout     = 8 * time.Second
	maxReason       = 200
)

var started sync.Once

// User name and password of a URL, also of one that was cut: a response or an error may repeat them.
var user = regexp.MustCompile(`[^\s/"'<>]+@|//[^\s/"'<>]*$`)

type sender struct {
	metadata, url, token string
	direct, proxied      *http.Client
	election             net.Listener
	reported             string
}

// Start sends at this interval. It does nothing outside ECS or without SIDECARLESS_URL.
func Start(interval time.Duration) {
	metadata, url := variable("ECS_CONTAINER_METADATA_URI_V4"), variable("SIDECARLESS_URL")
	if metadata == "" || url == "" {
		return
	}
	if interval < time.Second {
		interval = time.Second
	}
	s := &sender{metadata: metadata, url: strings.TrimRight(url, "/") + "/v1/ecs/task-stats", token: variable("SIDECARLESS_TOKEN")}
	// The metadata endpoint is never behind the proxy of HTTP_PROXY.
	s.direct = client(metadataTimeout, &http.Transport{DisableKeepAlives: true})
	s.proxied = client(pushTimeout, &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment})
	started.Do(func() { go s.run(interval) })
}

// Secrets that were stored from a file often end with a line break.
func variable(name string) string {
	return strings.TrimSpace(os.Getenv(name))
}

func client(timeout time.Duration, transport *http.Transport) *http.Client {
	// A redirect is not followed, because it would send the token to another host.
	redirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Timeout: timeout, Transport: transport, CheckRedirect: redirect}
}

func (s *sender) run(interval time.Duration) {
	delay := interval
	if delay > 10*time.Second {
		delay = 10 * time.Second
	}
	// Before Go 1.20, the shared source returns the same numbers in each process.
	random := rand.New(rand.NewSource(time.Now().UnixNano() + int64(os.Getpid())))
	time.Sleep(time.Duration(random.Int63n(int64(delay))))
	for {
		if err := s.push(); err != nil {
			s.report(user.ReplaceAllString(err.Error(), "***@"))
		}
		time.Sleep(interval)
	}
}

func (s *sender) report(reason string) {
	if reason != s.reported {
		s.reported = reason
		fmt.Fprintln(os.Stderr, "sidecarless: task stats were not sent:", reason)
	}
}

func (s *sender) push() (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("%v", panicked)
		}
	}()
	task, err := call(s.direct, "GET", s.metadata+"/task", nil, nil)
	// Under host networking all tasks of an instance share the port, so that each process has to send.
	if err != nil || !bytes.Contains(task, []byte(`"NetworkMode":"host"`)) && !s.isElected() {
		return err
	}
	stats, err := call(s.direct, "GET", s.metadata+"/task/stats", nil, nil)
	if err != nil {
		return err
	}
	headers := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"sidecarless-stats-go"}}
	if s.token != "" {
		headers.Set("Authorization", "Bearer "+s.token)
	}
	_, err = call(s.proxied, "POST", s.url, headers, append(task, stats...))
	return err
}

func (s *sender) isElected() bool {
	if s.election == nil {
		s.election, _ = net.Listen("tcp", electionAddress)
	}
	return s.election != nil
}

func call(client *http.Client, method, url string, headers http.Header, body []byte) ([]byte, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range headers {
		request.Header[name] = values
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 == 2 {
		return content, err
	}
	if len(content) > maxReason {
		content = content[:maxReason]
	}
	return nil, fmt.Errorf("status %d from %s: %s", response.StatusCode, url, strings.Join(strings.Fields(string(content)), " "))
}
