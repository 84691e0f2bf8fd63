// SPDX-License-Identifier: Apache-2.0
// Three requests with the HttpClient of the JDK; prints one status a line.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

public class Client {
  public static void main(String[] arguments) throws Exception {
    String url = arguments[0], token = arguments[1], mode = arguments[2];
    HttpClient.Builder builder = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10));
    if (mode.equals("http1")) builder.version(HttpClient.Version.HTTP_1_1);
    HttpClient client = builder.build();
    String task = "{\"type\":\"java\",\"payload\":\"" + "x".repeat(200_000) + "\"}";
    HttpRequest.Builder get = request(url + "/healthz", token).GET();
    HttpRequest.Builder post = request(url + "/api/tasks", token)
        .header("Content-Type", "application/json").POST(BodyPublishers.ofString(task));
    if (mode.equals("expect")) post.expectContinue(true);
    HttpRequest.Builder stats = request(url + "/api/stats", token).GET();
    for (HttpRequest.Builder each : new HttpRequest.Builder[] {get, post, stats}) {
      System.out.println(client.send(each.build(), BodyHandlers.ofString()).statusCode());
    }
  }

  private static HttpRequest.Builder request(String url, String token) {
    return HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(15))
        .header("Authorization", "Bearer " + token);
  }
}
