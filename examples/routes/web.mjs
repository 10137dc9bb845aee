// The pages. Started by Portico: see portico.config.mjs.

export default function web(request, response) {
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(`<!doctype html><title>Two servers, one door</title>
<h1>Two servers, one door</h1>
<p>This is ${request.url} of the app. <a href="/api/hello">The API</a> is somebody else.</p>
`);
}
