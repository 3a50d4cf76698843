// A servlet that knows its members, in a Tomcat that it brings along.
//
//   javac -d classes -cp tomcat-embed-core.jar Club.java ../../verify/MemberFilter.java
//   MEMBER_GATEWAY_SIGNING_KEY=… MEMBER_GATEWAY_SIGNING_KEY_ID=2026-11 MEMBER_GATEWAY_SITE=members.example.org PORT=3000 \
//       java -cp classes:tomcat-embed-core.jar:tomcat-annotations-api.jar Club work
//
// A servlet in a war has the same filter in its web.xml.
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.File;
import java.io.IOException;
import java.util.Map;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;

public class Club extends HttpServlet {
    private static final long serialVersionUID = 1;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        response.setContentType("text/plain;charset=utf-8");
        if (request.getAttribute("member") instanceof Map<?, ?> member) {
            response.getWriter().printf("member %s of unit %s (%s)%n", request.getRemoteUser(), member.get("x-member-unit-id"), member.get("x-member-provider"));
        } else if (request.getRequestURI().startsWith("/public/")) {
            String said = request.getHeader("X-Member-Id");
            response.getWriter().println("the schedule, for everybody" + (said == null ? "" : " and " + said));
        } else {
            response.setStatus(401);
            response.getWriter().println("members only");
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> environment = System.getenv();
        Map<String, MemberFilter.Key> keys = Map.of(environment.get("MEMBER_GATEWAY_SIGNING_KEY_ID"),
                MemberFilter.hmacKey(environment.get("MEMBER_GATEWAY_SIGNING_KEY")));
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[0]);
        tomcat.setPort(Integer.parseInt(environment.get("PORT")));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        Context context = tomcat.addContext("", new File(arguments[0]).getAbsolutePath());
        FilterDef filter = new FilterDef();
        filter.setFilterName("member");
        filter.setFilter(new MemberFilter(keys).authority(environment.get("MEMBER_GATEWAY_SITE")).anonymous());
        context.addFilterDef(filter);
        FilterMap everywhere = new FilterMap();
        everywhere.setFilterName("member");
        everywhere.addURLPattern("/*");
        context.addFilterMap(everywhere);
        Tomcat.addServlet(context, "club", new Club());
        context.addServletMappingDecoded("/", "club");
        tomcat.start();
        tomcat.getServer().await();
    }
}
