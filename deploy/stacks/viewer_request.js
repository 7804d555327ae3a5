// A CloudFront function, run for every request that goes on to the application.
//
// Headers that a proxy behind CloudFront might write are believed by somebody sooner or later: from a
// viewer they are dropped. Of the query only what the page reads is left, so that nobody can make the
// origin work by inventing parameters.
const PROXY_HEADERS = [
  "daphne-root-path",
  "forwarded",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-forwarded-server",
  "x-original-url",
  "x-origin-secret",
  "x-real-ip",
  "x-rewrite-url",
];

function handler(event) {
  const request = event.request;
  PROXY_HEADERS.forEach((name) => {
    delete request.headers[name];
  });
  if (request.uri === "/" || request.uri === "/score/top10") {
    const view = request.querystring.view;
    request.querystring = view && view.value === "wall" && !view.multiValue ? { view: { value: "wall" } } : {};
  }
  return request;
}
