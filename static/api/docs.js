// Shows the API's own description, with Swagger UI. In a file of its own: the policy allows no inline code.
const place = document.getElementById("api");
SwaggerUIBundle({ url: place.dataset.schema, domNode: place, deepLinking: true, tryItOutEnabled: true });
