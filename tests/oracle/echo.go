package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Headers by which the echo and the driver speak through Envoy. None of them is shown in an answer.
const (
	// clusterHeader is put on by the cluster that was chosen.
	clusterHeader = "x-oracle-cluster"
	// arrivedHeader carries the request as the echo saw it back in the answer.
	arrivedHeader = "x-oracle-arrived"
	// choiceHeader forces the choice among weighted destinations.
	choiceHeader = "x-oracle-choice"
	// routeHeader carries the name of the matched route.
	routeHeader = "x-oracle-route"
	// detailsHeader carries Envoy's response code details of an answer it gave itself.
	detailsHeader = "x-oracle-details"
	// policyHeader carries the policy that let a request in.
	policyHeader = "x-oracle-policy"
	// claimsHeader carries the claims of a token in.
	claimsHeader = "x-oracle-claims"
)

const ownHeaders = "x-oracle-"

// arrived is a request at the echo.
type arrived struct {
	Cluster   string              `json:"cluster"`
	Policy    string              `json:"policy"`
	Method    string              `json:"method"`
	Authority string              `json:"authority"`
	Path      string              `json:"path"`
	Headers   map[string][]string `json:"headers"`
}

// echo is the one upstream behind every cluster: it answers 200 and says in a header what it was asked.
type echo struct {
	server *http.Server
	port   int
}

func startEcho() (*echo, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the echo: %w", err)
	}
	e := &echo{
		server: &http.Server{Handler: http.HandlerFunc(answerEcho)},
		port:   listener.Addr().(*net.TCPAddr).Port,
	}
	go func() {
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // nothing can be asked without it
		}
	}()
	return e, nil
}

func (e *echo) close() { _ = e.server.Close() }

func answerEcho(w http.ResponseWriter, r *http.Request) {
	text, err := json.Marshal(arrived{
		Cluster:   r.Header.Get(clusterHeader),
		Policy:    r.Header.Get(policyHeader),
		Method:    r.Method,
		Authority: r.Host,
		Path:      r.RequestURI,
		Headers:   visible(r.Header),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set(arrivedHeader, base64.StdEncoding.EncodeToString(text))
	w.WriteHeader(http.StatusOK)
}

// visible are the headers that are not ours and not different every time, in lower case and in a stable order.
func visible(headers http.Header) map[string][]string {
	shown := map[string][]string{}
	for name, values := range headers {
		name = strings.ToLower(name)
		switch {
		case strings.HasPrefix(name, ownHeaders):
		case name == "x-request-id" || name == "date" || name == "x-envoy-upstream-service-time":
		default:
			shown[name] = slices.Clone(values)
		}
	}
	return shown
}
