// Shows the API's own description (Swagger UI). Without its spinner styles inline, so that the page's
// policy needs no exception.
const place = document.getElementById("api");
SwaggerUIBundle({ url: place.dataset.schema, domNode: place, deepLinking: true, tryItOutEnabled: true });
